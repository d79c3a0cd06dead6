/* What `onnxq inspect --json` prints; docs/report.md describes it. */

#include "report/report_json.h"

static void write_model(struct oq_json *json, const onnxq_inspection *inspection)
{
    oq_json_open_object(json, "model");
    oq_json_uint(json, "nbytes", inspection->info->file_nbytes + inspection->info->external_nbytes);
    oq_json_uint(json, "external_nbytes", inspection->info->external_nbytes);
    oq_json_uint(json, "external_files", inspection->n_external_files);
    oq_json_int(json, "ir_version", inspection->info->ir_version);
    oq_json_string(json, "producer_name", inspection->info->producer_name);
    oq_json_string(json, "producer_version", inspection->info->producer_version);
    oq_json_string(json, "domain", inspection->domain);
    oq_json_int(json, "model_version", inspection->model_version);
    oq_json_string(json, "doc", inspection->doc);
    oq_json_string(json, "graph", inspection->graph);
    oq_json_uint(json, "nodes", inspection->info->n_nodes);
    oq_json_uint(json, "subgraphs", inspection->n_subgraphs);
    oq_json_open_array(json, "opsets");
    for (size_t i = 0; i < inspection->n_opsets; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "domain", inspection->opsets[i].domain);
        oq_json_int(json, "version", inspection->opsets[i].version);
        oq_json_close(json);
    }
    oq_json_close(json);
    oq_json_open_array(json, "metadata");
    for (size_t i = 0; i < inspection->n_metadata; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "key", inspection->metadata[i].key);
        oq_json_string(json, "value", inspection->metadata[i].value);
        oq_json_close(json);
    }
    oq_json_close(json);
    oq_json_close(json);
}

static void write_requirements(struct oq_json *json, const onnxq_inspection *inspection)
{
    oq_json_open_array(json, "requirements");
    for (size_t i = 0; i < inspection->n_requirements; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "ort", inspection->requirements[i].ort);
        oq_json_string(json, "what", inspection->requirements[i].what);
        oq_json_close(json);
    }
    oq_json_close(json);
}

/* A number, a symbol, or null for neither. */
static void write_dim(struct oq_json *json, const onnxq_dim *dim)
{
    if (dim->size >= 0)
        oq_json_int(json, NULL, dim->size);
    else
        oq_json_string(json, NULL, dim->name[0] != '\0' ? dim->name : NULL);
}

static void write_dims(struct oq_json *json, const onnxq_parameter *parameter)
{
    if (!parameter->has_rank) {
        oq_json_null(json, "dims");
        return;
    }
    oq_json_open_row(json, "dims");
    for (size_t i = 0; i < parameter->n_dims; i++)
        write_dim(json, &parameter->dims[i]);
    oq_json_close(json);
}

static void write_parameters(struct oq_json *json, const char *key,
                             const onnxq_parameter *parameters, size_t n)
{
    oq_json_open_array(json, key);
    for (size_t i = 0; i < n; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "name", parameters[i].name);
        oq_json_string(json, "type", parameters[i].type);
        oq_json_string(json, "kind", parameters[i].kind);
        oq_json_string(json, "dtype", parameters[i].dtype);
        write_dims(json, &parameters[i]);
        oq_json_bool(json, "has_default", parameters[i].has_default);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_operators(struct oq_json *json, const onnxq_inspection *inspection)
{
    oq_json_open_array(json, "operators");
    for (size_t i = 0; i < inspection->n_operators; i++) {
        const onnxq_operator_count *count = &inspection->operators[i];
        oq_json_open_object(json, NULL);
        oq_json_string(json, "domain", count->domain);
        oq_json_string(json, "op_type", count->op_type);
        oq_json_uint(json, "nodes", count->n_nodes);
        oq_json_uint(json, "in_functions", count->n_in_functions);
        oq_json_close(json);
    }
    oq_json_close(json);
    oq_json_open_array(json, "functions");
    for (size_t i = 0; i < inspection->n_functions; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "domain", inspection->functions[i].domain);
        oq_json_string(json, "name", inspection->functions[i].name);
        oq_json_uint(json, "nodes", inspection->functions[i].n_nodes);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_plan(struct oq_json *json, const onnxq_plan *plan)
{
    if (plan == NULL) {
        oq_json_null(json, "quantize");
        return;
    }
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    oq_json_open_object(json, "quantize");
    oq_json_uint(json, "undecided", summary->n_undecided);
    oq_report_json_plan(json, plan);
    oq_json_close(json);
}

static void write_dequantization(struct oq_json *json, const onnxq_dequantization *dequantization)
{
    if (dequantization == NULL) {
        oq_json_null(json, "dequantize");
        return;
    }
    oq_json_open_object(json, "dequantize");
    oq_report_json_dequantization(json, dequantization);
    oq_json_close(json);
}

static void write_problems(struct oq_json *json, const char *key, const onnxq_problem *problems,
                           size_t n)
{
    oq_json_open_array(json, key);
    for (size_t i = 0; i < n; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "graph", problems[i].graph);
        oq_json_string(json, "node", problems[i].node);
        oq_json_string(json, "op_type", problems[i].op_type);
        oq_json_string(json, "value", problems[i].value);
        oq_json_string(json, "message", problems[i].message);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_validation(struct oq_json *json, const onnxq_validation *validation)
{
    if (validation == NULL) {
        oq_json_null(json, "validation");
        return;
    }
    oq_json_open_object(json, "validation");
    oq_json_bool(json, "valid", validation->n_found == 0);
    oq_json_uint(json, "found", validation->n_found);
    write_problems(json, "problems", validation->problems, validation->n_problems);
    write_problems(json, "warnings", validation->warnings, validation->n_warnings);
    oq_json_close(json);
}

void onnxq_report_inspection_json(const onnxq_inspection *inspection, const onnxq_plan *plan,
                                  const onnxq_dequantization *dequantization,
                                  const onnxq_validation *validation, const char *input,
                                  FILE *stream)
{
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "input", input);
    write_model(&json, inspection);
    write_requirements(&json, inspection);
    write_parameters(&json, "inputs", inspection->inputs, inspection->n_inputs);
    write_parameters(&json, "outputs", inspection->outputs, inspection->n_outputs);
    write_operators(&json, inspection);
    write_validation(&json, validation);
    write_dequantization(&json, dequantization);
    write_plan(&json, plan);
    oq_json_close(&json);
    oq_json_finish(&json);
}
