/* Columns of text: escaped, cut to what a terminal line holds, padded. */
#ifndef OQ_REPORT_REPORT_TEXT_H
#define OQ_REPORT_REPORT_TEXT_H

#include <onnxq/onnxq.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OQ_REPORT_NO_LIMIT ((size_t)-1)

/* What a file says may be megabytes: without detail no more of one text is shown, wherever it
 * goes. Names of real models are shorter. */
#define OQ_REPORT_LONGEST ((size_t)200)

/* One unit for all numbers of a table, so that they compare at a glance. */
struct oq_report_unit {
    const char *name;
    double nbytes;
};
struct oq_report_unit oq_report_unit(uint64_t largest_nbytes);

/* A line on constants that leave because nothing uses them; nothing for none. */
void oq_report_unused(FILE *stream, size_t count, uint64_t nbytes, struct oq_report_unit unit);

/* A line on annotations that leave with their tensors; nothing for none. */
void oq_report_annotations(FILE *stream, size_t count);

/* A line for each graph input that leaves: callers cannot give it any more. */
void oq_report_inputs(FILE *stream, const char *const *names, size_t count);

/* What "%zu weight%s" needs behind it. */
static inline const char *oq_report_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* "MatMul", or "com.example.MatMul" for a domain other than ai.onnx. */
#define OQ_REPORT_OPERATOR_NBYTES 192
void oq_report_operator(const char *domain, const char *op_type,
                        char name[OQ_REPORT_OPERATOR_NBYTES]);

/* What is left of a limit when `used` columns are taken. */
size_t oq_report_columns_left(size_t limit, size_t used);

/* Columns that the escaped text takes (a code point counts as one). */
size_t oq_report_width(const char *text);

/* A column as wide as the text too, but no wider than `most`: longer ones stick out. */
void oq_report_widen(size_t *width, const char *text, size_t most);

/* "[2,3]", and what is left of very many as "..." */
#define OQ_REPORT_DIMS_NBYTES 192
const char *oq_report_dims(const int64_t *dims, size_t n, char text[OQ_REPORT_DIMS_NBYTES]);

/*
 * Writes the text escaped: longer than `limit` columns it loses its middle,
 * shorter than `width` it gets spaces behind it. Returns the columns written.
 */
size_t oq_report_cell(FILE *stream, const char *text, size_t width, size_t limit);

/*
 * Writes prose, which is understood from its beginning: where it is longer than
 * `limit` columns, that and how many characters there are more.
 */
void oq_report_value(FILE *stream, const char *text, size_t limit);

/* report_imports.c: what was taken from a checkpoint, and what is left over; nothing without one.
 */
void oq_report_imports(const onnxq_plan *plan, FILE *stream);

#endif
