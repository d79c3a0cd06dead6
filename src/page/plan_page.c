/* What `onnxq inspect` and `onnxq quantize` tell, section by section. */
#include "page/plan_page.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "report/report_lines.h"

#define LARGEST 20 /* weights that are listed one by one */

static double share_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* "MatMul", or "com.example.MatMul" for a domain other than ai.onnx. */
static void write_operator(struct oq_page *page, const char *domain, const char *op_type)
{
    oq_page_cell(page, "%s%s%s", domain, domain[0] != '\0' ? "." : "", op_type);
}

/* --- weights by operator ---------------------------------------------------------- */

static void write_line(struct oq_page *page, const struct oq_report_line *line, uint64_t largest)
{
    char form[OQ_REPORT_FORM_CAPACITY], notes[OQ_REPORT_NOTES_CAPACITY];
    oq_report_format_form(line, form);
    oq_report_format_notes(line, notes);
    write_operator(page, line->domain, line->op_type);
    oq_page_cell(page, "%zu", line->n_weights);
    oq_page_cell(page, "%zu", line->n_quantized);
    oq_page_cell(page, "%s", oq_size_text(line->nbytes_before).text);
    oq_page_bar(page, share_of(line->nbytes_before, largest));
    oq_page_cell(page, "%s", oq_size_text(line->nbytes_after).text);
    oq_page_bar(page, share_of(line->nbytes_after, largest));
    oq_page_cell(page, "%s", form);
    oq_page_cell(page, "%s", notes);
}

void oq_page_plan(struct oq_page *page, const onnxq_plan *plan)
{
    static const char *const titles[] = {"operator", "weights", "quantized", "before", "",
                                         "after",    "",        "becomes",   "notes"};
    struct oq_report_lines lines;
    uint64_t largest = 0;
    if (!oq_report_lines_init(&lines, plan)) {
        page->failed = true;
        return;
    }
    oq_report_lines_merge_small(&lines);
    for (size_t i = 0; i < lines.n_lines; i++)
        if (lines.lines[i].nbytes_before > largest)
            largest = lines.lines[i].nbytes_before;
    oq_page_heading(page, "Size by operator");
    oq_page_open_table(page, "lrrrbrbll", titles);
    for (size_t i = 0; i < lines.n_lines; i++)
        write_line(page, &lines.lines[i], largest);
    oq_page_close_table(page);
    oq_report_lines_fini(&lines);
}

/* --- the largest of them ------------------------------------------------------------ */

/* Puts a weight among the largest so far, which stay in order; the first of equal ones leads. */
static size_t insert(const onnxq_weight *list[LARGEST], size_t n, const onnxq_weight *weight)
{
    size_t place = n;
    while (place > 0 && list[place - 1]->nbytes < weight->nbytes)
        place--;
    if (place == LARGEST)
        return n;
    n += n < LARGEST;
    memmove(&list[place + 1], &list[place], (n - 1 - place) * sizeof(*list));
    list[place] = weight;
    return n;
}

static void write_weight(struct oq_page *page, const onnxq_weight *weight, uint64_t largest)
{
    const onnxq_use *use = oq_report_main_use(weight);
    char dims[128] = "";
    int used = 0;
    for (size_t i = 0; i < weight->n_dims && used < (int)sizeof(dims); i++)
        used += snprintf(dims + used, sizeof(dims) - (size_t)used, "%s%" PRId64, i > 0 ? "," : "",
                         weight->dims[i]);
    oq_page_cell(page, "%s", weight->name);
    oq_page_cell(page, "%s [%s]", weight->dtype, dims);
    write_operator(page, use != NULL ? use->domain : "", use != NULL ? use->op_type : "unused");
    oq_page_cell(page, "%s", oq_size_text(weight->nbytes).text);
    oq_page_bar(page, share_of(weight->nbytes, largest));
}

static void write_largest(struct oq_page *page, const onnxq_plan *plan)
{
    static const char *const titles[] = {"tensor", "type", "operator", "size", ""};
    const onnxq_weight *largest[LARGEST];
    size_t n = 0;
    for (size_t i = 0; i < onnxq_plan_count(plan); i++)
        n = insert(largest, n, onnxq_plan_get(plan, i));
    if (n == 0)
        return;
    oq_page_heading(page, n < onnxq_plan_count(plan) ? "Largest tensors" : "Tensors");
    oq_page_open_table(page, "lllrb", titles);
    for (size_t i = 0; i < n; i++)
        write_weight(page, largest[i], largest[0]->nbytes);
    oq_page_close_table(page);
}

/* --- what it is ----------------------------------------------------------------------- */

static void write_fact(struct oq_page *page, const char *name, const char *text, const char *more)
{
    if (text[0] == '\0')
        return;
    oq_page_cell(page, "%s", name);
    oq_page_cell(page, "%s%s%s", text, more[0] != '\0' ? " " : "", more);
}

static void write_facts(struct oq_page *page, const onnxq_inspection *inspection)
{
    const onnxq_model_info *info = inspection->info;
    const onnxq_requirement *needs = inspection->requirements;
    oq_page_open_table(page, "ll", (const char *const[]){"", "model"});
    oq_page_cell(page, "size");
    oq_page_cell(page, "%s", oq_size_text(info->file_nbytes + info->external_nbytes).text);
    oq_page_cell(page, "format");
    oq_page_cell(page, "ONNX IR %" PRId64 ", opset %" PRId64, info->ir_version, info->opset);
    if (inspection->n_requirements > 0) {
        oq_page_cell(page, "needs");
        oq_page_cell(page, "ONNX Runtime %s or later: %s", needs->ort, needs->what);
    }
    write_fact(page, "producer", info->producer_name, info->producer_version);
    write_fact(page, "about", inspection->doc, "");
    write_fact(page, "graph", inspection->graph, "");
    oq_page_cell(page, "nodes");
    oq_page_cell(page, "%zu", info->n_nodes + inspection->n_nodes_in_functions);
    oq_page_close_table(page);
}

static void write_parameters(struct oq_page *page, const char *heading,
                             const onnxq_parameter *parameters, size_t n)
{
    oq_page_heading(page, "%s", heading);
    oq_page_open_table(page, "ll", (const char *const[]){"name", "type"});
    for (size_t i = 0; i < n; i++) {
        if (parameters[i].has_default) /* old models list their weights */
            continue;
        oq_page_cell(page, "%s", parameters[i].name);
        oq_page_cell(page, "%s", parameters[i].type);
    }
    oq_page_close_table(page);
}

static size_t count_nodes(const onnxq_operator_count *count)
{
    return count->n_nodes + count->n_in_functions;
}

static void write_operators(struct oq_page *page, const onnxq_inspection *inspection)
{
    size_t most = 0;
    for (size_t i = 0; i < inspection->n_operators; i++)
        if (count_nodes(&inspection->operators[i]) > most)
            most = count_nodes(&inspection->operators[i]);
    oq_page_heading(page, "Operators");
    oq_page_open_table(page, "lrb", (const char *const[]){"operator", "nodes", ""});
    for (size_t i = 0; i < inspection->n_operators; i++) {
        const onnxq_operator_count *count = &inspection->operators[i];
        write_operator(page, count->domain, count->op_type);
        oq_page_cell(page, "%zu", count_nodes(count));
        oq_page_bar(page, share_of(count_nodes(count), most));
    }
    oq_page_close_table(page);
}

static void write_forms(struct oq_page *page, const onnxq_dequantization *dequantization)
{
    size_t n = onnxq_dequantization_form_count(dequantization);
    if (n == 0)
        return;
    oq_page_heading(page, "Quantized already");
    oq_page_open_table(page, "lrr", (const char *const[]){"form", "nodes", "size"});
    for (size_t i = 0; i < n; i++) {
        const onnxq_dequantized_form *form = onnxq_dequantization_get_form(dequantization, i);
        oq_page_cell(page, "%s", form->form);
        oq_page_cell(page, "%zu", form->count);
        oq_page_cell(page, "%s", oq_size_text(form->nbytes).text);
    }
    oq_page_close_table(page);
}

void oq_page_inspection(struct oq_page *page, const onnxq_inspection *inspection,
                        const onnxq_plan *plan, const onnxq_dequantization *dequantization)
{
    write_facts(page, inspection);
    if (plan != NULL) {
        oq_page_plan(page, plan);
        write_largest(page, plan);
    }
    if (dequantization != NULL)
        write_forms(page, dequantization);
    write_parameters(page, "Inputs", inspection->inputs, inspection->n_inputs);
    write_parameters(page, "Outputs", inspection->outputs, inspection->n_outputs);
    write_operators(page, inspection);
}
