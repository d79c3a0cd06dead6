/* The report of a quantization as JSON, and members that others share. */
#include "report/report_json.h"

#include "base/flags.h"
#include "report/report_lines.h"

static void write_summary(struct oq_json *json, const onnxq_plan *plan)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    oq_json_open_object(json, "summary");
    oq_json_uint(json, "weights", summary->n_weights);
    oq_json_uint(json, "quantized", summary->n_quantized);
    oq_json_uint(json, "quantized_before", summary->n_quantized_before);
    oq_json_uint(json, "nbytes_quantized_before", summary->nbytes_quantized_before);
    oq_json_uint(json, "nbytes_before", summary->nbytes_before);
    oq_json_uint(json, "nbytes_after", summary->nbytes_after);
    oq_json_uint(json, "weight_nbytes_before", summary->weight_nbytes_before);
    oq_json_uint(json, "weight_nbytes_after", summary->weight_nbytes_after);
    oq_json_uint(json, "external_nbytes_after", summary->external_nbytes_after);
    oq_json_uint(json, "round_trips_removed", summary->n_round_trips_removed);
    oq_json_uint(json, "unused", summary->n_unused);
    oq_json_uint(json, "nbytes_unused", summary->nbytes_unused);
    oq_json_uint(json, "annotations_removed", summary->n_annotations_removed);
    oq_json_strings(json, "inputs_removed", summary->inputs_removed, summary->n_inputs_removed);
    oq_json_close(json);
}

static void write_tallies(struct oq_json *json, const char *key, const char *text_key,
                          const struct oq_report_tally *tallies, size_t n_tallies,
                          bool is_rewritten)
{
    oq_json_open_array(json, key);
    for (size_t i = 0; i < n_tallies; i++) {
        if (tallies[i].is_rewritten != is_rewritten)
            continue;
        oq_json_open_object(json, NULL);
        oq_json_string(json, text_key, oq_flags_text(tallies[i].text).text);
        oq_json_uint(json, "weights", tallies[i].count);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_operators(struct oq_json *json, const struct oq_report_lines *lines)
{
    oq_json_open_array(json, "operators");
    for (size_t i = 0; i < lines->n_lines; i++) {
        const struct oq_report_line *line = &lines->lines[i];
        oq_json_open_object(json, NULL);
        oq_json_string(json, "domain", line->domain);
        oq_json_string(json, "op_type", line->op_type);
        oq_json_uint(json, "weights", line->n_weights);
        oq_json_uint(json, "quantized", line->n_quantized);
        oq_json_uint(json, "nbytes_before", line->nbytes_before);
        oq_json_uint(json, "nbytes_after", line->nbytes_after);
        write_tallies(json, "forms", "form", line->forms, line->n_forms, false);
        write_tallies(json, "kept", "reason", line->reasons, line->n_reasons, false);
        write_tallies(json, "rewritten", "reason", line->reasons, line->n_reasons, true);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_use(struct oq_json *json, const onnxq_use *use)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "graph", use->graph);
    oq_json_string(json, "node", use->node);
    oq_json_string(json, "domain", use->domain);
    oq_json_string(json, "op_type", use->op_type);
    oq_json_uint(json, "input", use->input);
    oq_json_string(json, "action", oq_report_action(use->action));
    oq_json_string(json, "form", use->form);
    oq_json_string(json, "reason", oq_flags_text(use->reason).text);
    oq_json_close(json);
}

static void write_weight(struct oq_json *json, const onnxq_weight *weight)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", weight->name);
    oq_json_string(json, "dtype", weight->dtype);
    oq_json_ints(json, "dims", weight->dims, weight->n_dims);
    oq_json_uint(json, "nelem", weight->nelem);
    oq_json_uint(json, "nbytes", weight->nbytes);
    oq_json_uint(json, "nbytes_after", weight->nbytes_after);
    oq_json_string(json, "action", oq_report_action(weight->action));
    oq_json_bool(json, "quantized_before", weight->quantized_before);
    oq_json_uint(json, "scales", weight->n_scales);
    oq_json_uint(json, "input_scales", weight->n_input_scales);
    if (weight->channel_axis >= 0)
        oq_json_int(json, "channel_axis", weight->channel_axis);
    else
        oq_json_null(json, "channel_axis");
    oq_json_uint(json, "bits", weight->bits);
    oq_json_uint(json, "block_size", weight->block_size);
    oq_json_open_array(json, "uses");
    for (size_t i = 0; i < weight->n_uses; i++)
        write_use(json, &weight->uses[i]);
    oq_json_close(json);
    oq_json_close(json);
}

static void write_import(struct oq_json *json, const onnxq_import *import)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "module", import->module);
    oq_json_string(json, "weight", import->weight);
    oq_json_string(json, "reason", oq_flags_text(import->reason).text);
    oq_json_string(json, "format", import->format);
    oq_json_uint(json, "bits", import->bits);
    oq_json_uint(json, "rows", import->rows);
    oq_json_uint(json, "columns", import->columns);
    oq_json_uint(json, "group_size", import->group_size);
    oq_json_bool(json, "reordered", import->is_reordered);
    if (import->distance >= 0)
        oq_json_number(json, "distance", import->distance);
    else
        oq_json_null(json, "distance");
    oq_json_bool(json, "suspect", import->is_suspect);
    oq_json_close(json);
}

static void write_imports(struct oq_json *json, const onnxq_plan *plan)
{
    if (onnxq_plan_import_count(plan) == 0)
        return;
    oq_json_uint(json, "imported_floats", onnxq_plan_get_summary(plan)->n_imported_floats);
    oq_json_open_array(json, "imports");
    for (size_t i = 0; i < onnxq_plan_import_count(plan); i++)
        write_import(json, onnxq_plan_get_import(plan, i));
    oq_json_close(json);
}

void oq_report_json_plan(struct oq_json *json, const onnxq_plan *plan)
{
    struct oq_report_lines lines;
    write_summary(json, plan);
    if (oq_report_lines_init(&lines, plan)) {
        write_operators(json, &lines);
        oq_report_lines_fini(&lines);
    } else {
        oq_json_null(json, "operators");
    }
    oq_json_open_array(json, "weights");
    for (size_t i = 0; i < onnxq_plan_count(plan); i++)
        write_weight(json, onnxq_plan_get(plan, i));
    oq_json_close(json);
    write_imports(json, plan);
}

void onnxq_report_json(const onnxq_plan *plan, const char *input, const char *output, FILE *stream)
{
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "input", input);
    oq_json_string(&json, "output", output);
    oq_report_json_plan(&json, plan);
    oq_json_close(&json);
    oq_json_finish(&json);
}
