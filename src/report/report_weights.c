/* A line for each weight of a quantization. */
#include "report/report_lines.h"
#include "report/report_text.h"

#include <string.h>

#include "base/flags.h"

#define ACTION_COLUMNS  7
#define PADDING_COLUMNS 60 /* a longer name sticks out instead of widening every line */

struct widths {
    size_t name, shape, dtype, node;
};

static const char *node_name(const onnxq_weight *weight)
{
    const onnxq_use *use = oq_report_main_use(weight);
    return use == NULL ? "" : use->node;
}

/* " +2" where two more nodes use the weight. */
static void format_more_uses(const onnxq_weight *weight, char more[32])
{
    more[0] = '\0';
    if (weight->n_uses > 1)
        snprintf(more, 32, " +%zu", weight->n_uses - 1);
}

static void widen(size_t *width, size_t columns)
{
    if (columns > PADDING_COLUMNS)
        columns = PADDING_COLUMNS;
    if (columns > *width)
        *width = columns;
}

static struct widths measure(const struct oq_report_lines *lines)
{
    struct widths widths = {0};
    for (size_t i = 0; i < lines->n_weights; i++) {
        const onnxq_weight *weight = lines->weights[i];
        char shape[OQ_REPORT_DIMS_NBYTES], more[32];
        oq_report_dims(weight->dims, weight->n_dims, shape);
        format_more_uses(weight, more);
        widen(&widths.name, oq_report_width(weight->name));
        widen(&widths.shape, strlen(shape));
        widen(&widths.dtype, strlen(weight->dtype));
        widen(&widths.node, oq_report_width(node_name(weight)) + strlen(more));
    }
    return widths;
}

static void write_node(FILE *stream, const onnxq_weight *weight, const struct widths *widths)
{
    char more[32];
    format_more_uses(weight, more);
    size_t used = oq_report_cell(stream, node_name(weight), 0, OQ_REPORT_NO_LIMIT) + strlen(more);
    fputs(more, stream);
    if (used < widths->node)
        fprintf(stream, "%*s", (int)(widths->node - used), "");
}

/* One column and the space behind it. */
static void write_column(FILE *stream, const char *text, size_t width)
{
    oq_report_cell(stream, text, width, OQ_REPORT_NO_LIMIT);
    fputs("  ", stream);
}

/* What is done with it: the form of its integers, how they were chosen where inputs told, and what
 * scales there are beside the usual ones. */
static void write_form(FILE *stream, const onnxq_weight *weight, const onnxq_use *use)
{
    char text[256];
    const char *reason = use->action == ONNXQ_DYNAMIC ? use->reason : "";
    snprintf(text, sizeof(text), "%s%s%s%s", use->form, reason[0] != '\0' ? "; " : "", reason,
             weight->n_input_scales > 0 ? ", scales of inputs too" : "");
    oq_report_cell(stream, text, 0, OQ_REPORT_NO_LIMIT);
}

static void write_weight(FILE *stream, const onnxq_weight *weight, const struct widths *widths)
{
    const onnxq_use *use = oq_report_main_use(weight);
    bool kept = weight->action == ONNXQ_KEEP || weight->action == ONNXQ_REWRITE;
    char shape[OQ_REPORT_DIMS_NBYTES];
    oq_report_dims(weight->dims, weight->n_dims, shape);
    fputs("  ", stream);
    write_column(stream, weight->name, widths->name);
    write_column(stream, shape, widths->shape);
    write_column(stream, weight->dtype, widths->dtype);
    write_node(stream, weight, widths);
    fputs("  ", stream);
    write_column(stream, oq_report_action(weight->action), ACTION_COLUMNS);
    if (kept)
        oq_report_cell(stream, oq_flags_text(oq_report_reason(weight)).text, 0, OQ_REPORT_NO_LIMIT);
    else
        write_form(stream, weight, use);
    putc('\n', stream);
}

void onnxq_report_weights(const onnxq_plan *plan, FILE *stream)
{
    struct oq_report_lines lines;
    if (!oq_report_lines_init(&lines, plan)) {
        fputs("  (no memory left for the list of weights)\n", stream);
        return;
    }
    struct widths widths = measure(&lines);
    for (size_t i = 0; i < lines.n_lines; i++) {
        const struct oq_report_line *line = &lines.lines[i];
        for (size_t k = 0; k < line->n_weights; k++)
            write_weight(stream, lines.weights[line->first + k], &widths);
    }
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    oq_report_inputs(stream, summary->inputs_removed, summary->n_inputs_removed);
    oq_report_lines_fini(&lines);
}
