/*
 * The weights of a plan in the order in which people read them: grouped by the
 * operator of their first use, those that are quantized first, big ones first.
 */
#ifndef OQ_REPORT_REPORT_LINES_H
#define OQ_REPORT_REPORT_LINES_H

#include <onnxq/onnxq.h>

/* How often a text occurs: a form, or a reason. */
struct oq_report_tally {
    const char *text;
    size_t count;
    bool is_rewritten; /* of reasons: the weights leave, and are part of others */
};

#define OQ_REPORT_MAX_TALLIES 6

struct oq_report_line {
    const char *domain, *op_type;
    size_t first, n_weights; /* its range in oq_report_lines.weights */
    size_t n_quantized;
    uint64_t nbytes_before, nbytes_after;
    struct oq_report_tally forms[OQ_REPORT_MAX_TALLIES];   /* of what is not kept */
    struct oq_report_tally reasons[OQ_REPORT_MAX_TALLIES]; /* of what is kept or rewritten */
    size_t n_forms, n_reasons; /* more than MAX_TALLIES: the last one is "other" */
};

struct oq_report_lines {
    const onnxq_weight **weights;
    size_t n_weights;
    struct oq_report_line *lines;
    size_t n_lines;
};

/* False where memory ran out; nothing is held then. Texts stay the plan's. */
bool oq_report_lines_init(struct oq_report_lines *lines, const onnxq_plan *plan);

/*
 * Makes one line, "others", of operators of which nothing is quantized and that
 * hold next to nothing: a table is read for where the bytes are. The line's
 * range of weights means nothing.
 */
void oq_report_lines_merge_small(struct oq_report_lines *lines);
void oq_report_lines_fini(struct oq_report_lines *lines);

/* What becomes of an operator's weights: "MatMulInteger", or why all of them are kept. */
#define OQ_REPORT_FORM_CAPACITY 256
void oq_report_format_form(const struct oq_report_line *line, char form[OQ_REPORT_FORM_CAPACITY]);
/* "2 kept: under 1024 elements", or "". */
#define OQ_REPORT_NOTES_CAPACITY 768
void oq_report_format_notes(const struct oq_report_line *line,
                            char notes[OQ_REPORT_NOTES_CAPACITY]);

/* The use that stands for a weight: the first quantized one, or the first; NULL where unused. */
const onnxq_use *oq_report_main_use(const onnxq_weight *weight);
/* Why a weight is kept; never NULL or empty. */
const char *oq_report_reason(const onnxq_weight *weight);
/* "keep", "dynamic", "fold", "drop" or "rewrite". */
const char *oq_report_action(onnxq_action action);

#endif
