/* Parts of SVG pictures: the frame, text as XML has it, steps of axes. */
#ifndef OQ_PAGE_SVG_H
#define OQ_PAGE_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The title follows, then the ground, then what is drawn, then "</svg>". */
void oq_picture_open(FILE *stream, int width, int height);
/* Classes: head, name, soft, right and middle of text; grid, base and mark of lines. */
void oq_picture_ground(FILE *stream, int width, int height);

/* 1, 2 or 5 times a power of ten, so that at most `most` of them fit into range, both > 0. */
double oq_plot_step(double range, unsigned most);

/* Writes one character of a text, of `length` bytes of UTF-8. */
typedef void (*oq_escape_fn)(FILE *stream, const char *character, size_t length, bool is_first);
void oq_escape_xml(FILE *stream, const char *character, size_t length, bool is_first);

/*
 * Writes text character by character: what is none, or reorders or drives what
 * shows it, as U+FFFD; longer than `limit` characters it loses its middle.
 */
void oq_write_escaped(FILE *stream, const char *text, size_t limit, oq_escape_fn escape);

/* The same for XML. */
void oq_plot_text(FILE *stream, const char *text, size_t limit);

#endif
