/* Groups and sorts the weights of a plan. */
#include "report/report_lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* The first use that has decided what becomes of the weight. */
const onnxq_use *oq_report_main_use(const onnxq_weight *weight)
{
    for (size_t i = 0; i < weight->n_uses; i++) {
        if (weight->uses[i].action == weight->action)
            return &weight->uses[i];
    }
    return weight->n_uses > 0 ? &weight->uses[0] : NULL;
}

static const char *weight_domain(const onnxq_weight *weight)
{
    const onnxq_use *use = oq_report_main_use(weight);
    return use != NULL ? use->domain : "";
}

static const char *weight_op_type(const onnxq_weight *weight)
{
    const onnxq_use *use = oq_report_main_use(weight);
    return use != NULL ? use->op_type : "unused";
}

const char *oq_report_reason(const onnxq_weight *weight)
{
    for (size_t i = 0; i < weight->n_uses; i++) {
        if (weight->uses[i].reason[0] != '\0')
            return weight->uses[i].reason;
    }
    return weight->n_uses > 0 ? "no reason given" : "no node uses it";
}

const char *oq_report_action(onnxq_action action)
{
    static const char *const names[] = {[ONNXQ_KEEP] = "keep",
                                        [ONNXQ_DYNAMIC] = "dynamic",
                                        [ONNXQ_FOLD] = "fold",
                                        [ONNXQ_DROP] = "drop",
                                        [ONNXQ_REWRITE] = "rewrite"};
    return names[action];
}

static int compare_operators(const onnxq_weight *a, const onnxq_weight *b)
{
    int order = strcmp(weight_op_type(a), weight_op_type(b));
    return order != 0 ? order : strcmp(weight_domain(a), weight_domain(b));
}

/* Equal weights keep file order: the plan may hold them in one array, or not. */
struct line_entry {
    const onnxq_weight *weight;
    size_t position;
};

static int compare_entries(const void *left, const void *right)
{
    const struct line_entry *a = left, *b = right;
    int order = compare_operators(a->weight, b->weight);
    if (order == 0)
        order = oq_compare_u64(b->weight->nbytes, a->weight->nbytes);
    return order != 0 ? order : oq_compare_u64(a->position, b->position);
}

static int compare_lines(const void *left, const void *right)
{
    const struct oq_report_line *a = left, *b = right;
    int order = (b->n_quantized > 0) - (a->n_quantized > 0);
    if (order == 0)
        order = oq_compare_u64(b->nbytes_before, a->nbytes_before);
    return order != 0 ? order : oq_compare_u64(a->first, b->first);
}

static bool sort_weights(struct oq_report_lines *lines, const onnxq_plan *plan)
{
    struct line_entry *entries = calloc(lines->n_weights + 1, sizeof(*entries));
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < lines->n_weights; i++)
        entries[i] = (struct line_entry){onnxq_plan_get(plan, i), i};
    qsort(entries, lines->n_weights, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < lines->n_weights; i++)
        lines->weights[i] = entries[i].weight;
    free(entries);
    return true;
}

static void count_text(struct oq_report_tally *tallies, size_t *n_tallies, const char *text,
                       size_t count, bool is_rewritten)
{
    size_t i = 0;
    while (i < *n_tallies &&
           (tallies[i].is_rewritten != is_rewritten || strcmp(tallies[i].text, text) != 0))
        i++;
    if (i == OQ_REPORT_MAX_TALLIES) {
        tallies[--i].text = "other";
        tallies[i].is_rewritten &= is_rewritten;
    } else if (i == *n_tallies) {
        tallies[(*n_tallies)++] = (struct oq_report_tally){text, 0, is_rewritten};
    }
    tallies[i].count += count;
}

static void add_weight(struct oq_report_line *line, const onnxq_weight *weight)
{
    line->n_weights++;
    line->nbytes_before += weight->nbytes;
    line->nbytes_after += weight->nbytes_after;
    const bool is_rewritten = weight->action == ONNXQ_REWRITE;
    if (weight->action == ONNXQ_KEEP || is_rewritten) {
        count_text(line->reasons, &line->n_reasons, oq_report_reason(weight), 1, is_rewritten);
    } else {
        line->n_quantized += weight->action != ONNXQ_DROP;
        count_text(line->forms, &line->n_forms, oq_report_main_use(weight)->form, 1, false);
    }
}

static size_t count_operators(const struct oq_report_lines *lines)
{
    size_t count = lines->n_weights > 0;
    for (size_t i = 1; i < lines->n_weights; i++)
        count += compare_operators(lines->weights[i - 1], lines->weights[i]) != 0;
    return count;
}

static void fill_lines(struct oq_report_lines *lines)
{
    struct oq_report_line *line = lines->lines;
    for (size_t i = 0; i < lines->n_weights; i++) {
        const onnxq_weight *weight = lines->weights[i];
        if (i > 0 && compare_operators(lines->weights[i - 1], weight) != 0)
            line++;
        if (line->n_weights == 0) {
            line->domain = weight_domain(weight);
            line->op_type = weight_op_type(weight);
            line->first = i;
        }
        add_weight(line, weight);
    }
}

bool oq_report_lines_init(struct oq_report_lines *lines, const onnxq_plan *plan)
{
    *lines = (struct oq_report_lines){.n_weights = onnxq_plan_count(plan)};
    lines->weights = calloc(lines->n_weights + 1, sizeof(const onnxq_weight *));
    if (lines->weights == NULL || !sort_weights(lines, plan)) {
        oq_report_lines_fini(lines);
        return false;
    }
    lines->n_lines = count_operators(lines);
    lines->lines = calloc(lines->n_lines + 1, sizeof(*lines->lines));
    if (lines->lines == NULL) {
        oq_report_lines_fini(lines);
        return false;
    }
    fill_lines(lines);
    qsort(lines->lines, lines->n_lines, sizeof(*lines->lines), compare_lines);
    return true;
}

static bool is_small(const struct oq_report_line *line, uint64_t nbytes_of_all)
{
    return line->n_quantized == 0 && line->nbytes_before < nbytes_of_all / 1000;
}

static void merge_line(struct oq_report_line *others, const struct oq_report_line *line)
{
    others->n_weights += line->n_weights;
    others->nbytes_before += line->nbytes_before;
    others->nbytes_after += line->nbytes_after;
    for (size_t i = 0; i < line->n_reasons; i++)
        count_text(others->reasons, &others->n_reasons, line->reasons[i].text,
                   line->reasons[i].count, line->reasons[i].is_rewritten);
}

void oq_report_lines_merge_small(struct oq_report_lines *lines)
{
    struct oq_report_line others = {.domain = "", .op_type = "others"};
    uint64_t nbytes_of_all = 0;
    for (size_t i = 0; i < lines->n_lines; i++)
        nbytes_of_all += lines->lines[i].nbytes_before;
    size_t n_kept = lines->n_lines; /* small ones were sorted to the end */
    while (n_kept > 0 && is_small(&lines->lines[n_kept - 1], nbytes_of_all))
        merge_line(&others, &lines->lines[--n_kept]);
    if (lines->n_lines - n_kept < 2)
        return;
    lines->lines[n_kept] = others;
    lines->n_lines = n_kept + 1;
}

void oq_report_lines_fini(struct oq_report_lines *lines)
{
    free(lines->weights);
    free(lines->lines);
    *lines = (struct oq_report_lines){0};
}
