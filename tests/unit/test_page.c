/* Pages: what is escaped, how tables come out, in both formats. */
#define _POSIX_C_SOURCE 200809L
#include "page/page.h"

#include <math.h>
#include <string.h>

#include "support/suite.h"

/* Of a page, what stands behind its title. */
static const char *body_of(FILE *stream)
{
    size_t nbytes;
    assert_int_equal(fclose(stream), 0);
    const char *text = (const char *)test_read_file(test_path("page"), &nbytes);
    const char *end = strstr(text, "</h1>\n");
    return end != NULL ? end + strlen("</h1>\n") : text;
}

static FILE *open_page(struct oq_page *page, enum oq_page_format format)
{
    FILE *stream = fopen(test_path("page"), "w");
    assert_non_null(stream);
    oq_page_open(page, stream, format, "t");
    return stream;
}

/* --- names ---------------------------------------------------------------------- */

static const struct name_row {
    const char *name, *text, *html, *markdown;
} names[] = {
    {"plain", "a.onnx", "a.onnx", "a.onnx"},
    {"script", "<script>x</script>", "&lt;script&gt;x&lt;/script&gt;",
     "&lt;script&gt;x&lt;/script&gt;"},
    {"quotes", "\"'&", "&quot;'&amp;", "&quot;'&amp;"},
    {"newline", "a\n| b", "a\xef\xbf\xbd| b", "a\xef\xbf\xbd\\| b"},
    {"no UTF-8", "\xff\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"reordered",
     "a\xe2\x80\xae"
     "b",
     "a\xef\xbf\xbd"
     "b",
     "a\xef\xbf\xbd"
     "b"},
    {"markup", "_a_ *b* `c` [d](e) @f #1", "_a_ *b* `c` [d](e) @f #1",
     "\\_a\\_ \\*b\\* \\`c\\` \\[d\\](e) \\@f \\#1"},
    {"backslash", "a\\|", "a\\|", "a\\\\\\|"},
    {"line", "---", "---", "\\---"},
    {"image", "![x](http://h)", "![x](http://h)", "\\!\\[x\\](http://h)"},
    {"letters", "\xc3\xa4\xe6\xbc\xa2", "\xc3\xa4\xe6\xbc\xa2", "\xc3\xa4\xe6\xbc\xa2"},
};

static void test_names(void **state)
{
    const struct name_row *row = *state;
    static const char *const titles[] = {"h"};
    struct oq_page page;
    char expected[512];
    for (int format = 0; format < 2; format++) {
        FILE *stream = open_page(&page, (enum oq_page_format)format);
        oq_page_open_table(&page, "l", titles);
        oq_page_cell(&page, "%s", row->text);
        oq_page_close_table(&page);
        if (format == OQ_PAGE_HTML)
            snprintf(expected, sizeof(expected),
                     "<div class=\"wide\"><table>\n<tr><th class=\"l\">h</th></tr>\n"
                     "<tr><td class=\"l\">%s</td></tr>\n</table></div>\n",
                     row->html);
        else
            snprintf(expected, sizeof(expected), "## t\n\n| h |\n| --- |\n| %s |\n\n",
                     row->markdown);
        check_text(body_of(stream), expected);
    }
}

/* A name of any length: both ends of it are there. */
static void test_long_name(void **state)
{
    (void)state;
    static const char *const titles[] = {"h"};
    static char name[100001];
    struct oq_page page;
    memset(name, 'n', sizeof(name) - 1);
    name[0] = 'a';
    name[sizeof(name) - 2] = 'z';
    FILE *stream = open_page(&page, OQ_PAGE_MARKDOWN);
    oq_page_open_table(&page, "l", titles);
    oq_page_cell(&page, "%s", name);
    oq_page_close_table(&page);
    assert_true(oq_page_close(&page));
    const char *text = body_of(stream);
    assert_compare(strlen(text), <, 300);
    assert_non_null(strstr(text, "| annn"));
    assert_non_null(strstr(text, "n...n"));
    assert_non_null(strstr(text, "nz |\n"));
}

/* --- sections ------------------------------------------------------------------- */

static void print_lines(const void *data, FILE *stream)
{
    fputs(data, stream);
}

static void write_all(struct oq_page *page)
{
    static const char *const titles[] = {"name", "n", ""};
    oq_page_heading(page, "A %d", 1);
    oq_page_lines(page, print_lines, "  first <b>\n\nlast");
    oq_page_part(page, "P");
    oq_page_heading(page, "B");
    oq_page_open_table(page, "lrb", titles);
    oq_page_cell(page, "x");
    oq_page_number(page, (double)NAN);
    oq_page_bar(page, 0.5);
    oq_page_cell(page, "y");
    oq_page_number(page, 1.25);
    oq_page_bar(page, (double)INFINITY);
    oq_page_close_table(page);
    if (oq_page_open_picture(page)) {
        fputs("<svg/>", page->stream);
        oq_page_close_picture(page);
    }
    assert_true(oq_page_close(page));
}

static void test_html(void **state)
{
    (void)state;
    struct oq_page page;
    FILE *stream = open_page(&page, OQ_PAGE_HTML);
    write_all(&page);
    check_text(body_of(stream),
               "<h2>A 1</h2>\n<p>first &lt;b&gt;</p>\n<p>last</p>\n<h2>P</h2>\n<h3>B</h3>\n"
               "<div class=\"wide\"><table>\n<tr><th class=\"l\">name</th><th class=\"r\">n</th>"
               "<th class=\"b\"></th></tr>\n"
               "<tr><td class=\"l\">x</td><td class=\"r\">-</td><td class=\"b\">"
               "<span style=\"width:50.0%\"></span></td></tr>\n"
               "<tr><td class=\"l\">y</td><td class=\"r\">1.25</td><td class=\"b\">"
               "<span style=\"width:100.0%\"></span></td></tr>\n</table></div>\n"
               "<div class=\"wide\">\n<svg/></div>\n</main></body></html>\n");
}

static void test_markdown(void **state)
{
    (void)state;
    struct oq_page page;
    FILE *stream = open_page(&page, OQ_PAGE_MARKDOWN);
    write_all(&page);
    check_text(body_of(stream), "## t\n\n### A 1\n\nfirst &lt;b&gt;\n\nlast\n\n### P\n\n#### B\n\n"
                                "| name | n |  |\n| --- | ---: | --- |\n"
                                "| x | \\- | \xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88"
                                "\xe2\x96\x88\xe2\x96\x88 |\n"
                                "| y | 1.25 | \xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88"
                                "\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88"
                                "\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88 |\n\n");
}

int main(void)
{
    TEST_ROWS(test_names, names);
    TEST(test_long_name);
    TEST(test_html);
    TEST(test_markdown);
    return suite_run();
}
