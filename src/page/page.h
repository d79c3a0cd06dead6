/*
 * Pages that people look at: one HTML file that needs nothing else, or Markdown
 * for the summary of a job. Both have the same sections, and a report writes
 * them once. All text is escaped: names come from files that nobody trusts.
 */
#ifndef OQ_PAGE_PAGE_H
#define OQ_PAGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum oq_page_format { OQ_PAGE_HTML, OQ_PAGE_MARKDOWN };

struct oq_page {
    FILE *stream; /* borrowed */
    enum oq_page_format format;
    const char *kinds; /* of the columns of the table that is open */
    size_t column;     /* of the next cell */
    bool has_parts;    /* headings are those of sections in them */
    bool failed;       /* memory ran out: something is missing */
};

void oq_page_open(struct oq_page *page, FILE *stream, enum oq_page_format format,
                  const char *title);
bool oq_page_close(struct oq_page *page); /* true where it is complete */

/* A part of its own, such as a model; headings after it are its sections. */
void oq_page_part(struct oq_page *page, const char *format, ...) OQ_PRINTF(2, 3);
void oq_page_heading(struct oq_page *page, const char *format, ...) OQ_PRINTF(2, 3);

/* A paragraph for each line that `print` writes. */
void oq_page_lines(struct oq_page *page, void (*print)(const void *data, FILE *stream),
                   const void *data);

/*
 * A table. `kinds` has a letter for each column: l text, r a number, b a bar.
 * Cells come row by row; each row is as long as `kinds`.
 */
void oq_page_open_table(struct oq_page *page, const char *kinds, const char *const *titles);
void oq_page_cell(struct oq_page *page, const char *format, ...) OQ_PRINTF(2, 3);
void oq_page_number(struct oq_page *page, double value); /* NAN: a dash */
void oq_page_bar(struct oq_page *page, double share);    /* of the longest one */
void oq_page_close_table(struct oq_page *page);

/* Around an SVG that is written to the stream. False: the format has no pictures. */
bool oq_page_open_picture(struct oq_page *page);
void oq_page_close_picture(struct oq_page *page);

#endif
