/* The two formats. HTML is XML as well, so that tests can read it as such. */
#define _POSIX_C_SOURCE 200809L
#include "page/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "page/svg.h"

#define LONGEST     200 /* characters of a cell: what is longer loses its middle */
#define BAR_COLUMNS 12  /* of a bar in Markdown */

/* No script runs, nothing is loaded, whatever a name might hold. */
static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
    "<style>\n"
    ":root{--text:#24292f;--soft:#656d76;--ground:#fff;--line:#d8dee4;--bar:#2f81f7}\n"
    "@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9198a1;--ground:#0d1117;"
    "--line:#30363d;--bar:#4493f8}}\n"
    "body{margin:0;color:var(--text);background:var(--ground);font:15px/1.5 system-ui,"
    "-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n"
    "main{max-width:1100px;margin:0 auto;padding:1rem 1.25rem 3rem}\n"
    "h1{font-size:1.5rem;overflow-wrap:anywhere}h2,h3{font-size:1.15rem;margin:2rem 0 .5rem;"
    "overflow-wrap:anywhere}h3{font-size:1rem}\n"
    "p{margin:.3rem 0;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}.wide svg{min-width:640px;max-width:100%;height:auto}\n"
    "table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}\n"
    "th{color:var(--soft);font-weight:400;white-space:nowrap}\n"
    "th,td{padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;"
    "vertical-align:top}\n"
    "td.l{max-width:28rem;overflow-wrap:break-word}td.b+td.l,td.l:last-child{min-width:11rem}"
    "th.r,td.r{text-align:right;white-space:nowrap}\n"
    "td.b{width:8rem;min-width:5rem}\n"
    "td.b span{display:block;height:.8rem;margin-top:.35rem;min-width:1px;border-radius:2px;"
    "background:var(--bar)}\n"
    "</style>\n";

/* --- text ----------------------------------------------------------------------- */

/* What means something to Markdown in the middle of a line, or as its first character. */
static void escape_markdown(FILE *stream, const char *character, size_t length, bool is_first)
{
    if (strchr("\\`*_{}[]|~!@#$", *character) != NULL ||
        (is_first && strchr("-+=", *character) != NULL))
        putc('\\', stream);
    oq_escape_xml(stream, character, length, is_first);
}

static void write_text(const struct oq_page *page, const char *text, size_t limit)
{
    oq_write_escaped(page->stream, text, limit,
                     page->format == OQ_PAGE_HTML ? oq_escape_xml : escape_markdown);
}

/* --- sections ------------------------------------------------------------------- */

static bool is_html(const struct oq_page *page)
{
    return page->format == OQ_PAGE_HTML;
}

static void write_between(const struct oq_page *page, const char *before, const char *text,
                          const char *after)
{
    fputs(before, page->stream);
    write_text(page, text, SIZE_MAX);
    fputs(after, page->stream);
}

void oq_page_open(struct oq_page *page, FILE *stream, enum oq_page_format format, const char *title)
{
    *page = (struct oq_page){.stream = stream, .format = format};
    if (is_html(page)) {
        fputs(head, stream);
        write_between(page, "<title>", title, "</title></head>\n<body><main>\n");
        write_between(page, "<h1>", title, "</h1>\n");
    } else {
        write_between(page, "## ", title, "\n\n");
    }
}

bool oq_page_close(struct oq_page *page)
{
    if (is_html(page))
        fputs("</main></body></html>\n", page->stream);
    return !page->failed;
}

/* To be freed; NULL where memory ran out. */
static char *format_text(struct oq_page *page, const char *format, va_list arguments)
    OQ_PRINTF(2, 0);

static char *format_text(struct oq_page *page, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    char *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    else
        page->failed = true;
    va_end(again);
    return text;
}

/* Level 1 is the page's title, and in Markdown the second: it stands among others. */
static void write_heading(struct oq_page *page, int level, char *text)
{
    if (is_html(page))
        fprintf(page->stream, "<h%d>", level);
    else
        fprintf(page->stream, "%.*s ", level + 1, "####");
    write_text(page, text != NULL ? text : "", LONGEST);
    if (is_html(page))
        fprintf(page->stream, "</h%d>\n", level);
    else
        fputs("\n\n", page->stream);
    free(text);
}

void oq_page_part(struct oq_page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    page->has_parts = true;
    write_heading(page, 2, format_text(page, format, arguments));
    va_end(arguments);
}

void oq_page_heading(struct oq_page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_heading(page, page->has_parts ? 3 : 2, format_text(page, format, arguments));
    va_end(arguments);
}

/* Without the spaces that a terminal's line begins with. */
static void write_paragraph(const struct oq_page *page, const char *line)
{
    line += strspn(line, " ");
    if (*line != '\0')
        write_between(page, is_html(page) ? "<p>" : "", line, is_html(page) ? "</p>\n" : "\n\n");
}

void oq_page_lines(struct oq_page *page, void (*print)(const void *data, FILE *stream),
                   const void *data)
{
    char *text = NULL, *line, *end;
    size_t nbytes;
    FILE *stream = open_memstream(&text, &nbytes);
    if (stream != NULL)
        print(data, stream);
    if (stream == NULL || ferror(stream) != 0 || fflush(stream) != 0)
        page->failed = true;
    if (stream == NULL || fclose(stream) != 0 || text == NULL) {
        page->failed = true;
        return;
    }
    for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        write_paragraph(page, line);
    }
    write_paragraph(page, line);
    free(text);
}

bool oq_page_open_picture(struct oq_page *page)
{
    if (is_html(page))
        fputs("<div class=\"wide\">\n", page->stream);
    return is_html(page);
}

void oq_page_close_picture(struct oq_page *page)
{
    fputs("</div>\n", page->stream);
}

/* --- tables --------------------------------------------------------------------- */

static void open_cell(const struct oq_page *page, const char *tag)
{
    if (!is_html(page))
        fputs(page->column == 0 ? "| " : " ", page->stream);
    else if (page->column == 0)
        fprintf(page->stream, "<tr><%s class=\"%c\">", tag, page->kinds[0]);
    else
        fprintf(page->stream, "<%s class=\"%c\">", tag, page->kinds[page->column]);
}

static void close_cell(struct oq_page *page, const char *tag)
{
    bool ends = page->kinds[++page->column] == '\0';
    if (is_html(page))
        fprintf(page->stream, "</%s>%s", tag, ends ? "</tr>\n" : "");
    else
        fputs(ends ? " |\n" : " |", page->stream);
    if (ends)
        page->column = 0;
}

void oq_page_open_table(struct oq_page *page, const char *kinds, const char *const *titles)
{
    page->kinds = kinds;
    page->column = 0;
    fputs(is_html(page) ? "<div class=\"wide\"><table>\n" : "", page->stream);
    for (size_t i = 0; kinds[i] != '\0'; i++) {
        open_cell(page, "th");
        write_text(page, titles[i], LONGEST);
        close_cell(page, "th");
    }
    for (size_t i = 0; kinds[i] != '\0' && !is_html(page); i++) {
        open_cell(page, "");
        fputs(kinds[i] == 'r' ? "---:" : "---", page->stream);
        close_cell(page, "");
    }
}

void oq_page_cell(struct oq_page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(page, format, arguments);
    va_end(arguments);
    open_cell(page, "td");
    write_text(page, text != NULL ? text : "", LONGEST);
    close_cell(page, "td");
    free(text);
}

void oq_page_number(struct oq_page *page, double value)
{
    if (isnan(value))
        oq_page_cell(page, "-");
    else
        oq_page_cell(page, "%.4g", value);
}

void oq_page_bar(struct oq_page *page, double share)
{
    share = share > 0 ? fmin(share, 1) : 0; /* NAN, too */
    open_cell(page, "td");
    if (is_html(page))
        fprintf(page->stream, "<span style=\"width:%.1f%%\"></span>", 100 * share);
    for (unsigned i = 0; !is_html(page) && i < (unsigned)(share * BAR_COLUMNS + 0.5); i++)
        fputs("\xe2\x96\x88", page->stream);
    close_cell(page, "td");
}

void oq_page_close_table(struct oq_page *page)
{
    fputs(is_html(page) ? "</table></div>\n" : "\n", page->stream);
}
