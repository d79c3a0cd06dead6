/* What is in a model, section by section. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_lines.h"
#include "report/report_text.h"
#include "base/size.h"

#define TERMINAL_COLUMNS 100
#define LABEL_COLUMNS    10
#define BAR_COLUMNS      12
#define SHARE_COLUMNS    (21 + BAR_COLUMNS)
#define VISIBLE_SHARE    2000 /* a tensor below this part of all bytes is 0.0 % */
#define TYPE_CAPACITY    256
#define PADDING_COLUMNS  40 /* a longer name sticks out instead of widening every line */

/* Without detail: what is more is counted. */
#define MAX_PARAMETERS 24
#define MAX_OPERATORS  60
#define MAX_METADATA   12
#define MAX_OPSETS     16

struct report {
    const onnxq_inspection *inspection;
    const onnxq_plan *plan;
    const onnxq_dequantization *dequantization;
    const onnxq_inspection_style *style;
    FILE *stream;
};

/* --- pieces of text --- */

/* "22.7 M" */
static void format_count(uint64_t count, char text[32])
{
    static const char units[][3] = {" K", " M", " B", " T"};
    double value = (double)count / 1e3;
    size_t unit = 0;
    if (count < 10000) {
        snprintf(text, 32, "%" PRIu64, count);
        return;
    }
    while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1e3;
        unit++;
    }
    snprintf(text, 32, "%.1f%s", value, units[unit]);
}

/* "float32 [30522,384]" */
static void format_type(const onnxq_weight *weight, char type[TYPE_CAPACITY])
{
    char dims[OQ_REPORT_DIMS_NBYTES];
    snprintf(type, TYPE_CAPACITY, "%s %s", weight->dtype,
             oq_report_dims(weight->dims, weight->n_dims, dims));
}

/* Of a text from the file, without detail: never more than that. */
static size_t text_limit(const struct report *report)
{
    return report->style->detail > 0 ? OQ_REPORT_NO_LIMIT : OQ_REPORT_LONGEST;
}

/* Prose; with detail all of it. */
static void write_value(const struct report *report, const char *text)
{
    oq_report_value(report->stream, text, text_limit(report));
}

/* A length of `share` of the whole bar, in eighths of a column where characters allow. */
static size_t write_bar(const struct report *report, double share)
{
    static const char *const eighths[] = {"",
                                          "\xe2\x96\x8f",
                                          "\xe2\x96\x8e",
                                          "\xe2\x96\x8d",
                                          "\xe2\x96\x8c",
                                          "\xe2\x96\x8b",
                                          "\xe2\x96\x8a",
                                          "\xe2\x96\x89"};
    unsigned parts = report->style->unicode ? 8 : 1;
    unsigned length = (unsigned)(share * BAR_COLUMNS * parts + 0.5), columns = length / parts;
    if (length > 0)
        fputs("  ", report->stream);
    for (unsigned i = 0; i < columns; i++)
        fputs(report->style->unicode ? "\xe2\x96\x88" : "#", report->stream);
    fputs(eighths[length % parts], report->stream);
    return columns + (length % parts != 0) + (length > 0 ? 2 : 0);
}

static uint64_t weight_nbytes(const struct report *report)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(report->plan);
    return summary->weight_nbytes_before;
}

/* "  47.7 MB   52.6 %  #########"; the bar compares with the largest of the section. */
static size_t write_share(const struct report *report, uint64_t nbytes, uint64_t largest)
{
    uint64_t total = weight_nbytes(report);
    char numbers[64];
    snprintf(numbers, sizeof(numbers), "%10s  %5.1f %%", oq_size_text(nbytes).text,
             total > 0 ? 100 * (double)nbytes / (double)total : 0);
    fputs(numbers, report->stream);
    return strlen(numbers) + write_bar(report, largest > 0 ? (double)nbytes / (double)largest : 0);
}

/* --- what it is --- */

static void write_label(const struct report *report, const char *label)
{
    fprintf(report->stream, "  %-*s", LABEL_COLUMNS, label);
}

static bool is_used(const onnxq_inspection *inspection, const char *domain)
{
    for (size_t i = 0; i < inspection->n_operators; i++)
        if (strcmp(inspection->operators[i].domain, domain) == 0)
            return true;
    return false;
}

/* Exporters import whatever they know: without detail, only what nodes need is shown. */
static void write_format(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    write_label(report, "format");
    fprintf(report->stream, "ONNX IR %" PRId64, inspection->info->ir_version);
    if (inspection->info->opset != 0)
        fprintf(report->stream, ", opset %" PRId64, inspection->info->opset);
    for (size_t i = 0; i < inspection->n_opsets; i++) {
        const onnxq_opset *opset = &inspection->opsets[i];
        if (opset->domain[0] == '\0' || (report->style->detail == 0 &&
                                         (i >= MAX_OPSETS || !is_used(inspection, opset->domain))))
            continue;
        fputs(", ", report->stream);
        oq_report_cell(report->stream, opset->domain, 0, text_limit(report));
        fprintf(report->stream, " %" PRId64, opset->version);
    }
    putc('\n', report->stream);
}

/* "ONNX Runtime 1.22 or later: MatMulNBits with 8 bits", all that ask for that version. */
static void write_requirements(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    const onnxq_requirement *first = inspection->requirements;
    if (inspection->n_requirements == 0)
        return;
    write_label(report, "needs");
    fprintf(report->stream, "ONNX Runtime %s or later", first->ort);
    for (size_t i = 0; i < inspection->n_requirements && strcmp(first[i].ort, first->ort) == 0; i++)
        fprintf(report->stream, "%s%s", i == 0 ? ": " : ", ", first[i].what);
    putc('\n', report->stream);
}

static void write_line(const struct report *report, const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    write_label(report, label);
    write_value(report, text);
    putc('\n', report->stream);
}

static void write_producer(const struct report *report)
{
    const onnxq_model_info *info = report->inspection->info;
    if (info->producer_name[0] == '\0')
        return;
    write_label(report, "producer");
    oq_report_cell(report->stream, info->producer_name, 0, text_limit(report));
    fputs(info->producer_version[0] != '\0' ? " " : "", report->stream);
    oq_report_cell(report->stream, info->producer_version, 0, text_limit(report));
    putc('\n', report->stream);
}

/* ", 3 subgraphs" */
static void write_count(const struct report *report, const char *before, size_t count,
                        const char *one, const char *many)
{
    fprintf(report->stream, "%s%zu %s", before, count, count == 1 ? one : many);
}

static void write_graph(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    write_label(report, "graph");
    oq_report_cell(report->stream, inspection->graph, 0, PADDING_COLUMNS);
    write_count(report, inspection->graph[0] != '\0' ? ", " : "", inspection->info->n_nodes, "node",
                "nodes");
    if (inspection->n_subgraphs > 0)
        write_count(report, ", ", inspection->n_subgraphs, "subgraph", "subgraphs");
    if (inspection->n_functions > 0) {
        write_count(report, ", ", inspection->n_functions, "local function", "local functions");
        write_count(report, " of ", inspection->n_nodes_in_functions, "node", "nodes");
    }
    putc('\n', report->stream);
}

static void write_totals(const struct report *report)
{
    char elements[32];
    uint64_t nelem = 0;
    if (report->plan == NULL)
        return;
    const onnxq_summary *summary = onnxq_plan_get_summary(report->plan);
    for (size_t i = 0; i < onnxq_plan_count(report->plan); i++)
        nelem += onnxq_plan_get(report->plan, i)->nelem;
    format_count(nelem, elements);
    write_label(report, "weights");
    if (summary->n_weights == 0) {
        fputs("none\n", report->stream);
        return;
    }
    write_count(report, "", summary->n_weights, "tensor", "tensors");
    fprintf(report->stream, ", %s elements, %s", elements,
            oq_size_text(summary->weight_nbytes_before).text);
    putc('\n', report->stream);
}

static void write_side_files(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    if (inspection->n_external_files == 0)
        return;
    write_label(report, "data");
    write_count(report, "", inspection->n_external_files, "side file", "side files");
    fprintf(report->stream, ", %s\n", oq_size_text(inspection->info->external_nbytes).text);
}

static void write_more(const struct report *report, size_t count, const char *what)
{
    fprintf(report->stream, "  ... and %zu %s\n", count, what);
}

static void write_metadata(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    size_t n = inspection->n_metadata, width = 0;
    if (n > MAX_METADATA && report->style->detail == 0)
        n = MAX_METADATA;
    if (n > 0)
        fputs("\nMetadata\n", report->stream);
    for (size_t i = 0; i < n; i++)
        oq_report_widen(&width, inspection->metadata[i].key, PADDING_COLUMNS);
    for (size_t i = 0; i < n; i++) {
        fputs("  ", report->stream);
        oq_report_cell(report->stream, inspection->metadata[i].key, width, PADDING_COLUMNS);
        fputs("  ", report->stream);
        write_value(report, inspection->metadata[i].value);
        putc('\n', report->stream);
    }
    if (n < inspection->n_metadata)
        write_more(report, inspection->n_metadata - n, "more");
}

static void write_identity(const struct report *report)
{
    write_format(report);
    write_requirements(report);
    write_producer(report);
    write_line(report, "domain", report->inspection->domain);
    write_line(report, "about", report->inspection->doc);
    write_graph(report);
    write_totals(report);
    write_side_files(report);
    write_metadata(report);
}

/* --- inputs and outputs --- */

static void write_parameter(const struct report *report, const onnxq_parameter *parameter,
                            size_t width)
{
    fputs("  ", report->stream);
    oq_report_cell(report->stream, parameter->name, width, text_limit(report));
    fputs("  ", report->stream);
    oq_report_cell(report->stream, parameter->type, 0, text_limit(report));
    fputs(parameter->has_default ? "  (has a default value)\n" : "\n", report->stream);
}

/* Old models list their weights among the inputs: without detail, those are counted. */
static void write_parameters(const struct report *report, const char *heading,
                             const onnxq_parameter *parameters, size_t n)
{
    size_t width = 0, n_written = 0, n_left = 0, n_defaults = 0;
    bool all = report->style->detail > 0;
    for (size_t i = 0; i < n; i++)
        if (all || !parameters[i].has_default)
            oq_report_widen(&width, parameters[i].name, PADDING_COLUMNS);
    fprintf(report->stream, "\n%s\n", heading);
    for (size_t i = 0; i < n; i++) {
        if (!all && parameters[i].has_default)
            n_defaults++;
        else if (!all && n_written == MAX_PARAMETERS)
            n_left++;
        else
            write_parameter(report, &parameters[i], width), n_written++;
    }
    if (n == 0)
        fputs("  none\n", report->stream);
    if (n_left > 0)
        write_more(report, n_left, "more");
    if (n_defaults > 0)
        write_more(report, n_defaults, "that have default values");
}

/* --- operators --- */

/* Columns are as wide as the longest name of what is shown. */
static void write_operators(const struct report *report)
{
    const onnxq_inspection *inspection = report->inspection;
    size_t n = inspection->n_operators, width = 8;
    if (n > MAX_OPERATORS && report->style->detail == 0)
        n = MAX_OPERATORS;
    if (n == 0)
        return;
    fputs("\nOperators\n", report->stream);
    for (size_t i = 0; i < n; i++) {
        char name[OQ_REPORT_OPERATOR_NBYTES];
        oq_report_operator(inspection->operators[i].domain, inspection->operators[i].op_type, name);
        oq_report_widen(&width, name, PADDING_COLUMNS);
    }
    size_t per_line = TERMINAL_COLUMNS / (width + 9);
    for (size_t i = 0; i < n; i++) {
        const onnxq_operator_count *count = &inspection->operators[i];
        bool ends = (i + 1) % per_line == 0 || i + 1 == n;
        char name[OQ_REPORT_OPERATOR_NBYTES];
        oq_report_operator(count->domain, count->op_type, name);
        fprintf(report->stream, "  %5zu  ", count->n_nodes + count->n_in_functions);
        oq_report_cell(report->stream, name, ends ? 0 : width, PADDING_COLUMNS);
        if (ends)
            putc('\n', report->stream);
    }
    if (n < inspection->n_operators)
        write_more(report, inspection->n_operators - n, "more");
}

/* --- weights --- */

/* Weights of one type that go into one operator. */
struct group {
    const struct oq_report_line *line; /* NULL: all kinds */
    const char *dtype;
    size_t n_weights;
    uint64_t nbytes;
};

static int compare_groups(const void *left, const void *right)
{
    const struct group *a = left, *b = right;
    if (a->nbytes != b->nbytes)
        return a->nbytes < b->nbytes ? 1 : -1;
    int order = strcmp(a->line->op_type, b->line->op_type);
    if (order == 0)
        order = strcmp(a->line->domain, b->line->domain);
    return order != 0 ? order : strcmp(a->dtype, b->dtype);
}

/* There are few types: an operator's groups are looked through one by one. */
static size_t add_groups(const struct oq_report_lines *lines, const struct oq_report_line *line,
                         struct group *groups)
{
    size_t n = 0;
    for (size_t i = 0; i < line->n_weights; i++) {
        const onnxq_weight *weight = lines->weights[line->first + i];
        size_t k = 0;
        while (k < n && strcmp(groups[k].dtype, weight->dtype) != 0)
            k++;
        if (k == n)
            groups[n++] = (struct group){.line = line, .dtype = weight->dtype};
        groups[k].n_weights++;
        groups[k].nbytes += weight->nbytes;
    }
    return n;
}

/* What holds next to nothing becomes one group; returns how many are left. */
static size_t merge_small(const struct report *report, struct group *groups, size_t n)
{
    struct group others = {.dtype = ""};
    uint64_t total = 0;
    size_t kept = n;
    for (size_t i = 0; i < n; i++)
        total += groups[i].nbytes;
    while (kept > 1 && groups[kept - 1].nbytes < total / 1000) {
        others.n_weights += groups[--kept].n_weights;
        others.nbytes += groups[kept].nbytes;
    }
    if (report->style->detail > 1 || n - kept < 2)
        return n;
    groups[kept] = others;
    return kept + 1;
}

static void format_group(const struct group *group, char name[OQ_REPORT_OPERATOR_NBYTES])
{
    if (group->line == NULL)
        snprintf(name, OQ_REPORT_OPERATOR_NBYTES, "others");
    else
        oq_report_operator(group->line->domain, group->line->op_type, name);
}

static void write_groups(const struct report *report, const struct group *groups, size_t n)
{
    size_t name_width = strlen("operator"), type_width = strlen("type");
    for (size_t i = 0; i < n; i++) {
        char name[OQ_REPORT_OPERATOR_NBYTES];
        format_group(&groups[i], name);
        oq_report_widen(&name_width, name, PADDING_COLUMNS);
        oq_report_widen(&type_width, groups[i].dtype, PADDING_COLUMNS);
    }
    fprintf(report->stream, "\nWeights\n  %-*s  %-*s  tensors        size    share\n",
            (int)name_width, "operator", (int)type_width, "type");
    for (size_t i = 0; i < n; i++) {
        char name[OQ_REPORT_OPERATOR_NBYTES];
        format_group(&groups[i], name);
        fputs("  ", report->stream);
        oq_report_cell(report->stream, name, name_width, text_limit(report));
        fprintf(report->stream, "  %-*s  %7zu  ", (int)type_width, groups[i].dtype,
                groups[i].n_weights);
        write_share(report, groups[i].nbytes, groups[0].nbytes);
        putc('\n', report->stream);
    }
}

static void write_weights(const struct report *report, const struct oq_report_lines *lines)
{
    struct group *groups = calloc(lines->n_weights + 1, sizeof(*groups));
    size_t n = 0;
    for (size_t i = 0; groups != NULL && i < lines->n_lines; i++)
        n += add_groups(lines, &lines->lines[i], groups + n);
    if (groups != NULL)
        qsort(groups, n, sizeof(*groups), compare_groups);
    if (groups != NULL && n > 0)
        write_groups(report, groups, merge_small(report, groups, n));
    free(groups);
}

/* --- the largest of them --- */

struct ranked {
    const onnxq_weight *weight;
    size_t position;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->weight->nbytes != b->weight->nbytes)
        return a->weight->nbytes < b->weight->nbytes ? 1 : -1;
    return (a->position > b->position) - (a->position < b->position);
}

static void format_user(const onnxq_weight *weight, char name[OQ_REPORT_OPERATOR_NBYTES])
{
    const onnxq_use *use = oq_report_main_use(weight);
    snprintf(name, OQ_REPORT_OPERATOR_NBYTES, "%s", use == NULL ? "unused" : use->op_type);
}

static void write_weight(const struct report *report, const onnxq_weight *weight, uint64_t largest,
                         size_t type_width, size_t user_width)
{
    char type[TYPE_CAPACITY], user[OQ_REPORT_OPERATOR_NBYTES];
    format_type(weight, type);
    format_user(weight, user);
    size_t used = write_share(report, weight->nbytes, largest);
    oq_report_cell(report->stream, "", SHARE_COLUMNS - used, 0);
    fputs("  ", report->stream);
    oq_report_cell(report->stream, type, type_width, OQ_REPORT_NO_LIMIT);
    fputs("  ", report->stream);
    oq_report_cell(report->stream, user, user_width, text_limit(report));
    fputs("  ", report->stream);
    oq_report_cell(report->stream, weight->name, 0, text_limit(report));
    putc('\n', report->stream);
}

/* How many of the ranked ones are shown. */
static size_t count_largest(const struct report *report, const struct ranked *ranked, size_t n)
{
    static const size_t limits[] = {10, 50};
    unsigned detail = report->style->detail;
    if (detail < 2 && n > limits[detail])
        n = limits[detail];
    while (detail == 0 && n > 1 &&
           ranked[n - 1].weight->nbytes < weight_nbytes(report) / VISIBLE_SHARE)
        n--;
    return n;
}

static void write_ranked(const struct report *report, const struct ranked *ranked, size_t n)
{
    size_t type_width = 0, user_width = 0;
    for (size_t i = 0; i < n; i++) {
        char type[TYPE_CAPACITY], user[OQ_REPORT_OPERATOR_NBYTES];
        format_type(ranked[i].weight, type);
        format_user(ranked[i].weight, user);
        oq_report_widen(&type_width, type, PADDING_COLUMNS);
        oq_report_widen(&user_width, user, PADDING_COLUMNS);
    }
    for (size_t i = 0; i < n; i++)
        write_weight(report, ranked[i].weight, ranked[0].weight->nbytes, type_width, user_width);
}

static void write_largest(const struct report *report)
{
    size_t n = onnxq_plan_count(report->plan);
    struct ranked *ranked = calloc(n + 1, sizeof(*ranked));
    for (size_t i = 0; ranked != NULL && i < n; i++)
        ranked[i] = (struct ranked){onnxq_plan_get(report->plan, i), i};
    if (ranked != NULL && n > 0) {
        qsort(ranked, n, sizeof(*ranked), compare_ranked);
        size_t n_shown = count_largest(report, ranked, n);
        fputs(n_shown < n ? "\nLargest tensors\n" : "\nTensors\n", report->stream);
        write_ranked(report, ranked, n_shown);
    }
    free(ranked);
}

static void write_plan(const struct report *report)
{
    struct oq_report_lines lines;
    if (report->plan == NULL)
        return;
    if (oq_report_lines_init(&lines, report->plan)) {
        write_weights(report, &lines);
        oq_report_lines_fini(&lines);
    }
    write_largest(report);
}

/* --- what is quantized already --- */

static void write_form(const struct report *report, size_t width, const char *form, size_t count,
                       uint64_t nbytes)
{
    fputs("  ", report->stream);
    oq_report_cell(report->stream, form, width, OQ_REPORT_NO_LIMIT);
    fprintf(report->stream, "  %7zu", count);
    if (nbytes > 0)
        fprintf(report->stream, "%14s", oq_size_text(nbytes).text);
    putc('\n', report->stream);
}

static void write_forms(const struct report *report, size_t n_left)
{
    static const char others[] = "others";
    const onnxq_dequantization *source = report->dequantization;
    size_t n = onnxq_dequantization_form_count(source), width = strlen(others);
    for (size_t i = 0; i < n; i++)
        oq_report_widen(&width, onnxq_dequantization_get_form(source, i)->form, PADDING_COLUMNS);
    bool is_folded = false;
    for (size_t i = 0; i < n; i++)
        is_folded |= onnxq_dequantization_get_form(source, i)->is_folded;
    fprintf(report->stream, "\nQuantized already\n  %-*s    nodes          size\n", (int)width,
            "form");
    for (size_t i = 0; i < n; i++) {
        const onnxq_dequantized_form *form = onnxq_dequantization_get_form(source, i);
        write_form(report, width, form->form, form->count, form->nbytes);
    }
    if (n_left > 0)
        write_form(report, width, others, n_left, 0);
    if (is_folded)
        fputs("  what is folded becomes float again in tools that compute constants, as onnxsim, "
              "onnxslim\n  and ORT format do; the other forms stay\n",
              report->stream);
}

static void write_quantized(const struct report *report)
{
    if (report->dequantization == NULL)
        return;
    const onnxq_dequantize_summary *summary =
        onnxq_dequantization_get_summary(report->dequantization);
    if (summary->n_dequantized + summary->n_left > 0)
        write_forms(report, summary->n_left);
}

void onnxq_report_inspection(const onnxq_inspection *inspection, const onnxq_plan *plan,
                             const onnxq_dequantization *dequantization,
                             const onnxq_inspection_style *style, FILE *stream)
{
    static const onnxq_inspection_style plain;
    const struct report report = {.inspection = inspection,
                                  .plan = plan,
                                  .dequantization = dequantization,
                                  .style = style == NULL ? &plain : style,
                                  .stream = stream};
    write_identity(&report);
    write_parameters(&report, "Inputs", inspection->inputs, inspection->n_inputs);
    write_parameters(&report, "Outputs", inspection->outputs, inspection->n_outputs);
    write_operators(&report);
    write_plan(&report);
    write_quantized(&report);
}
