/* What has become of a quantized model's nodes on the way back to float. */
#include "report/report_json.h"
#include "report/report_text.h"

#include <stdlib.h>
#include <string.h>

#include <onnxq/onnxq.h>

#define PADDING_COLUMNS 60 /* a longer name sticks out instead of widening every line */

static bool stays(const onnxq_dequantized *node)
{
    return node->form[0] == '\0';
}

/* --- the table --- */

/* Nodes of one operator that stay for one reason. */
struct kept {
    const onnxq_dequantized *node;
    size_t count;
};

struct table {
    const onnxq_dequantization *source;
    struct kept *kept; /* [n_kept] */
    size_t n_kept;
    size_t name_width;
    struct oq_report_unit unit;
};

static bool is_alike(const onnxq_dequantized *a, const onnxq_dequantized *b)
{
    return strcmp(a->op_type, b->op_type) == 0 && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

static bool count_kept(struct table *table)
{
    const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(table->source);
    table->kept = calloc(summary->n_left + 1, sizeof(*table->kept));
    for (size_t i = 0; table->kept != NULL && i < onnxq_dequantization_count(table->source); i++) {
        const onnxq_dequantized *node = onnxq_dequantization_get(table->source, i);
        size_t k = 0;
        if (!stays(node))
            continue;
        while (k < table->n_kept && !is_alike(table->kept[k].node, node))
            k++;
        table->n_kept += k == table->n_kept;
        table->kept[k].node = node;
        table->kept[k].count++;
    }
    return table->kept != NULL;
}

static void measure_table(struct table *table)
{
    uint64_t largest = 0;
    table->name_width = strlen("form");
    for (size_t i = 0; i < onnxq_dequantization_form_count(table->source); i++) {
        const onnxq_dequantized_form *form = onnxq_dequantization_get_form(table->source, i);
        oq_report_widen(&table->name_width, form->form, PADDING_COLUMNS);
        largest = form->nbytes_after > largest ? form->nbytes_after : largest;
    }
    for (size_t i = 0; i < table->n_kept; i++) {
        char name[OQ_REPORT_OPERATOR_NBYTES];
        oq_report_operator(table->kept[i].node->domain, table->kept[i].node->op_type, name);
        oq_report_widen(&table->name_width, name, PADDING_COLUMNS);
    }
    table->unit = oq_report_unit(largest);
}

static void write_form(const struct table *table, const onnxq_dequantized_form *form, FILE *stream)
{
    fputs("  ", stream);
    oq_report_cell(stream, form->form, table->name_width, OQ_REPORT_NO_LIMIT);
    fprintf(stream, "  %7zu  %7.1f %s  %7.1f %s\n", form->count,
            (double)form->nbytes / table->unit.nbytes, table->unit.name,
            (double)form->nbytes_after / table->unit.nbytes, table->unit.name);
}

static void write_kept(const struct table *table, const struct kept *kept, FILE *stream)
{
    char name[OQ_REPORT_OPERATOR_NBYTES], count[32];
    oq_report_operator(kept->node->domain, kept->node->op_type, name);
    snprintf(count, sizeof(count), "  %7zu  kept: ", kept->count);
    fputs("  ", stream);
    oq_report_cell(stream, name, table->name_width, OQ_REPORT_NO_LIMIT);
    fputs(count, stream);
    oq_report_cell(stream, kept->node->reason, 0, OQ_REPORT_NO_LIMIT);
    putc('\n', stream);
}

static void write_ranges(const struct table *table, FILE *stream)
{
    size_t n = onnxq_dequantization_get_summary(table->source)->n_ranges_removed;
    if (n > 0)
        fprintf(stream, "  ranges of activations that cut nothing off any more: %zu\n", n);
}

static void write_unused(const struct table *table, FILE *stream)
{
    const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(table->source);
    oq_report_unused(stream, summary->n_unused, summary->nbytes_unused, table->unit);
    oq_report_annotations(stream, summary->n_annotations_removed);
}

void onnxq_report_dequantization_table(const onnxq_dequantization *dequantization, FILE *stream)
{
    struct table table = {.source = dequantization};
    if (!count_kept(&table)) {
        fputs("  (no memory left for the table)\n", stream);
        return;
    }
    measure_table(&table);
    fprintf(stream, "  %-*s    nodes      before       after\n", (int)table.name_width, "form");
    for (size_t i = 0; i < onnxq_dequantization_form_count(dequantization); i++)
        write_form(&table, onnxq_dequantization_get_form(dequantization, i), stream);
    for (size_t i = 0; i < table.n_kept; i++)
        write_kept(&table, &table.kept[i], stream);
    write_ranges(&table, stream);
    write_unused(&table, stream);
    free(table.kept);
}

/* --- the nodes --- */

/* Columns of the list of nodes. */
struct columns {
    size_t node, form;
};

static void write_node(const onnxq_dequantized *node, const struct columns *columns, FILE *stream)
{
    fputs("  ", stream);
    oq_report_cell(stream, node->node, columns->node, OQ_REPORT_NO_LIMIT);
    fputs("  ", stream);
    if (stays(node)) {
        char name[OQ_REPORT_OPERATOR_NBYTES];
        oq_report_operator(node->domain, node->op_type, name);
        oq_report_cell(stream, name, columns->form, OQ_REPORT_NO_LIMIT);
        fputs("  kept: ", stream);
        oq_report_cell(stream, node->reason, 0, OQ_REPORT_NO_LIMIT);
    } else if (node->weight[0] != '\0') {
        char dims[OQ_REPORT_DIMS_NBYTES];
        oq_report_cell(stream, node->form, columns->form, OQ_REPORT_NO_LIMIT);
        fputs("  ", stream);
        oq_report_cell(stream, node->weight, 0, OQ_REPORT_NO_LIMIT);
        fprintf(stream, " -> %s%s", node->dtype, oq_report_dims(node->dims, node->n_dims, dims));
    } else {
        oq_report_cell(stream, node->form, 0, OQ_REPORT_NO_LIMIT);
    }
    putc('\n', stream);
}

static struct columns measure_columns(const onnxq_dequantization *dequantization)
{
    struct columns columns = {0};
    for (size_t i = 0; i < onnxq_dequantization_count(dequantization); i++) {
        const onnxq_dequantized *node = onnxq_dequantization_get(dequantization, i);
        char name[OQ_REPORT_OPERATOR_NBYTES];
        oq_report_operator(node->domain, node->op_type, name);
        oq_report_widen(&columns.node, node->node, PADDING_COLUMNS);
        oq_report_widen(&columns.form, stays(node) ? name : node->form, PADDING_COLUMNS);
    }
    return columns;
}

void onnxq_report_dequantization_nodes(const onnxq_dequantization *dequantization, FILE *stream)
{
    const struct columns columns = measure_columns(dequantization);
    const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(dequantization);
    for (size_t i = 0; i < onnxq_dequantization_count(dequantization); i++)
        write_node(onnxq_dequantization_get(dequantization, i), &columns, stream);
    oq_report_inputs(stream, summary->inputs_removed, summary->n_inputs_removed);
}

/* --- JSON --- */

static void write_summary(struct oq_json *json, const onnxq_dequantization *dequantization)
{
    const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(dequantization);
    oq_json_open_object(json, "summary");
    oq_json_uint(json, "dequantized", summary->n_dequantized);
    oq_json_uint(json, "kept", summary->n_left);
    oq_json_uint(json, "nbytes_before", summary->nbytes_before);
    oq_json_uint(json, "nbytes_after", summary->nbytes_after);
    oq_json_uint(json, "external_nbytes_after", summary->external_nbytes_after);
    oq_json_uint(json, "unused", summary->n_unused);
    oq_json_uint(json, "nbytes_unused", summary->nbytes_unused);
    oq_json_uint(json, "ranges_removed", summary->n_ranges_removed);
    oq_json_uint(json, "annotations_removed", summary->n_annotations_removed);
    oq_json_strings(json, "inputs_removed", summary->inputs_removed, summary->n_inputs_removed);
    oq_json_close(json);
}

static void write_forms(struct oq_json *json, const onnxq_dequantization *dequantization)
{
    oq_json_open_array(json, "forms");
    for (size_t i = 0; i < onnxq_dequantization_form_count(dequantization); i++) {
        const onnxq_dequantized_form *form = onnxq_dequantization_get_form(dequantization, i);
        oq_json_open_object(json, NULL);
        oq_json_string(json, "form", form->form);
        oq_json_uint(json, "nodes", form->count);
        oq_json_uint(json, "nbytes", form->nbytes);
        oq_json_uint(json, "nbytes_after", form->nbytes_after);
        oq_json_bool(json, "folded", form->is_folded);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_json_node(struct oq_json *json, const onnxq_dequantized *node)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "graph", node->graph);
    oq_json_string(json, "node", node->node);
    oq_json_string(json, "domain", node->domain);
    oq_json_string(json, "op_type", node->op_type);
    oq_json_string(json, "form", node->form);
    oq_json_string(json, "reason", node->reason);
    oq_json_string(json, "weight", node->weight);
    oq_json_string(json, "dtype", node->dtype);
    oq_json_ints(json, "dims", node->dims, node->n_dims);
    oq_json_uint(json, "nbytes", node->nbytes);
    oq_json_uint(json, "nbytes_after", node->nbytes_after);
    oq_json_close(json);
}

void oq_report_json_dequantization(struct oq_json *json, const onnxq_dequantization *dequantization)
{
    write_summary(json, dequantization);
    write_forms(json, dequantization);
    oq_json_open_array(json, "nodes");
    for (size_t i = 0; i < onnxq_dequantization_count(dequantization); i++)
        write_json_node(json, onnxq_dequantization_get(dequantization, i));
    oq_json_close(json);
}

void onnxq_report_dequantization_json(const onnxq_dequantization *dequantization, const char *input,
                                      const char *output, FILE *stream)
{
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "input", input);
    oq_json_string(&json, "output", output);
    oq_report_json_dequantization(&json, dequantization);
    oq_json_close(&json);
    oq_json_finish(&json);
}
