/* Where lines are broken. */
#include "cli/terminal/fit.h"

#include <stdbool.h>
#include <string.h>

#define STACKED_COLUMN 6  /* where what had no room beside the rest begins */
#define LEAST_ROOM     16 /* less is too narrow for prose */

static bool is_start(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static size_t count_columns(const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += is_start(text[i]);
    return n;
}

static size_t skip_spaces(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && text[i] == ' ')
        i++;
    return i;
}

/* Bytes up to the next gap: of a column. */
static size_t cell_length(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && !(text[i] == ' ' && (i + 1 == length || text[i + 1] == ' ')))
        i++;
    return i;
}

static size_t word_length(const char *text, size_t length)
{
    const char *space = memchr(text, ' ', length);
    return space != NULL ? (size_t)(space - text) : length;
}

static size_t longest_word(const char *text, size_t length)
{
    size_t longest = 0;
    for (size_t i = 0; i < length;) {
        size_t n = word_length(text + i, length - i), columns = count_columns(text + i, n);
        longest = columns > longest ? columns : longest;
        i += n + (i + n < length);
    }
    return longest;
}

/* Of prose with so much room. */
static size_t count_lines(const char *text, size_t length, size_t room)
{
    size_t n_lines = 1, column = 0;
    for (size_t i = 0; i < length;) {
        size_t n = word_length(text + i, length - i), columns = count_columns(text + i, n);
        bool is_next = column > 0 && column + 1 + columns > room;
        n_lines += is_next;
        column = (is_next || column == 0 ? 0 : column + 1) + columns;
        i += n + (i + n < length);
    }
    return n_lines;
}

/* Prose stays in its column where that does not make a tower of what would be one line. */
static bool belongs_in_column(const char *text, size_t length, size_t at, size_t width)
{
    if (memchr(text, ' ', length) == NULL || at + LEAST_ROOM > width ||
        longest_word(text, length) > width - at)
        return false;
    return count_lines(text, length, width - at) <= 2 ||
           STACKED_COLUMN + count_columns(text, length) > width;
}

struct fit {
    size_t width, column; /* of the line, and written so far */
    FILE *stream;
};

static void write_text(struct fit *fit, const char *text, size_t length)
{
    fwrite(text, 1, length, fit->stream);
    fit->column += count_columns(text, length);
}

static void write_spaces(struct fit *fit, size_t n)
{
    fprintf(fit->stream, "%*s", (int)n, "");
    fit->column += n;
}

static void start_line(struct fit *fit, size_t indent)
{
    putc('\n', fit->stream);
    fit->column = 0;
    write_spaces(fit, indent);
}

/* Word by word, below its own beginning. */
static void write_prose(struct fit *fit, const char *text, size_t length)
{
    size_t indent = fit->column;
    for (size_t i = 0; i < length;) {
        size_t n = word_length(text + i, length - i);
        size_t space = i > 0;
        if (i > 0 && fit->column + space + count_columns(text + i, n) > fit->width) {
            start_line(fit, indent);
            space = 0;
        }
        write_spaces(fit, space);
        write_text(fit, text + i, n);
        i += n + (i + n < length);
    }
}

static void write_cell(struct fit *fit, const char *text, size_t length, size_t gap, bool is_first)
{
    size_t columns = count_columns(text, length), at = fit->column + gap;
    if (at + columns <= fit->width) {
        write_spaces(fit, gap);
        write_text(fit, text, length);
        return;
    }
    if (belongs_in_column(text, length, at, fit->width) || (is_first && gap <= STACKED_COLUMN))
        write_spaces(fit, gap);
    else if (is_first) /* what stands below a column that had no room */
        write_spaces(fit, STACKED_COLUMN);
    else
        start_line(fit, STACKED_COLUMN);
    write_prose(fit, text, length);
}

void cli_fit_line(const char *line, size_t length, size_t width, FILE *stream)
{
    struct fit fit = {.width = width, .stream = stream};
    size_t gap = skip_spaces(line, length);
    bool is_command = length - gap > 6 && memcmp(line + gap, "onnxq ", 6) == 0;
    if (is_command || count_columns(line, length) <= width) {
        fwrite(line, 1, length, stream);
        return;
    }
    for (size_t i = gap; i < length;) {
        size_t n = cell_length(line + i, length - i);
        write_cell(&fit, line + i, n, gap, fit.column == 0);
        i += n;
        gap = skip_spaces(line + i, length - i);
        i += gap;
    }
}
