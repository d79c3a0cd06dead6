/*
 * Gather (ai.onnx, 1, 11, 13): rows of a table, as of an embedding.
 *
 * The integers are gathered, the scales of the same rows are gathered, and only
 * what was gathered becomes float: file and memory stay a quarter, and each row
 * keeps a scale of its own.
 */
#include "quantize/rules/product.h"

/*
 * Two more small operators cost about 2 microseconds (docs/decisions.md). A
 * table of 4 MB saves enough memory to be worth that; a smaller one is folded.
 */
#define MIN_TABLE_NELEM ((uint64_t)1 << 20)

/* Points and boxes have as many numbers, where each counts by itself; no embedding has as few. */
#define MAX_COORDINATES ((uint64_t)4)

static bool is_weight(size_t input)
{
    return input == 0;
}

static bool holds_coordinates(const onnxq_plan *plan, const struct oq_source *table, int64_t axis)
{
    return plan->options.fold_bits != 8 && table->dims[axis] > 0 &&
           table->nelem / (uint64_t)table->dims[axis] <= MAX_COORDINATES;
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *table = &site->constant->source;
    int64_t rank = (int64_t)table->n_dims;
    int64_t axis = oq_node_int(site->node, "axis", 0);
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank || site->node->n_input < 2)
        oq_site_keep(site, "axis out of range");
    else if (rank < 2)
        oq_site_keep(site, "a vector");
    else if (holds_coordinates(plan, table, axis))
        oq_site_keep(site, "rows too short for scales of their own");
    else if (table->nelem < MIN_TABLE_NELEM && !site->options->force_integer)
        oq_site_fold(site, (int)axis, 0, "a table under 1048576 elements");
    else if (oq_plan_constant(plan, site->graph, site->node->input[1]) != NULL)
        oq_site_fold(site, (int)axis, 0, "both inputs are constant");
    else
        oq_site_dynamic(site, (int)axis, 0, false, site->is_unsigned ? "uint8 rows" : "int8 rows");
    oq_gather_choose_blocks(plan, site);
}

/* Gather(table, indices) with the node's own axis. */
static const char *gather(struct oq_rewrite *rewrite, const struct oq_site *site, const char *table,
                          const char *suffix)
{
    const Oq__Pb__NodeProto *node = site->node;
    const char *rows = oq_edit_name(rewrite->edit, node->output[0], suffix);
    const char *inputs[] = {table, node->input[1], NULL};
    const char *outputs[] = {rows, NULL};
    oq_edit_add_int(rewrite->edit,
                    oq_edit_node(rewrite->edit, "", "Gather", oq_node_label(node), inputs, outputs),
                    "axis", site->axis);
    return rows;
}

/* A value of each row, or the one value that all rows share. */
static const char *gather_value(struct oq_rewrite *rewrite, const struct oq_site *site,
                                struct oq_rewrite_values values, const char *suffix)
{
    return values.n_dims == 0 ? values.name : gather(rewrite, site, values.name, suffix);
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const char *label = oq_node_label(node);
    const char *rows = gather(rewrite, site, oq_rewrite_weight(rewrite, site), "_rows");
    const char *value = oq_rewrite_cast(rewrite, label, rows);
    struct oq_rewrite_values zero_point = oq_rewrite_float_zero_point(rewrite, site->quantized);
    struct oq_rewrite_values scale = oq_rewrite_float_scale(rewrite, site->quantized);
    if (zero_point.name != NULL)
        value = oq_rewrite_subtract(rewrite, label, value,
                                    gather_value(rewrite, site, zero_point, "_zero_point"));
    const char *inputs[] = {value, gather_value(rewrite, site, scale, "_scale"), NULL};
    return oq_edit_float_output(rewrite->edit, "", "Mul", label, inputs,
                                site->constant->source.data_type, node->output[0]);
}

const struct oq_rule oq_rule_gather = {
    .op = OQ_ONNX_Gather, .is_weight = is_weight, .decide = decide, .emit = emit};
