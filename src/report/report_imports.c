/* What a plan has taken from a checkpoint, and what is left over on either side. */
#include <math.h>
#include <string.h>

#include "base/flags.h"
#include "report/report_text.h"

/* Of each kind; JSON has all. */
#define MAX_LINES 10

struct import_counts {
    size_t taken, left, suspect;
    double least, most; /* distances; least > most: none is known */
};

static struct import_counts count(const onnxq_plan *plan)
{
    struct import_counts counts = {.least = INFINITY, .most = -INFINITY};
    for (size_t i = 0; i < onnxq_plan_import_count(plan); i++) {
        const onnxq_import *import = onnxq_plan_get_import(plan, i);
        const bool is_taken = import->reason[0] == '\0';
        counts.taken += is_taken;
        counts.left += !is_taken;
        counts.suspect += import->is_suspect;
        if (!is_taken || import->distance < 0)
            continue;
        counts.least = fmin(counts.least, import->distance);
        counts.most = fmax(counts.most, import->distance);
    }
    return counts;
}

/* "  not taken: NAME: REASON"; *n: lines of that kind so far. */
static void write_name(FILE *stream, size_t *n, const char *what, const char *name,
                       const char *reason)
{
    if (++*n > MAX_LINES)
        return;
    fprintf(stream, "  %s: ", what);
    oq_report_cell(stream, name, 0, OQ_REPORT_NO_LIMIT);
    if (reason[0] != '\0') {
        fputs(": ", stream);
        oq_report_cell(stream, oq_flags_text(reason).text, 0, OQ_REPORT_NO_LIMIT);
    }
    putc('\n', stream);
}

static void write_rest(FILE *stream, size_t n, const char *what)
{
    if (n > MAX_LINES)
        fprintf(stream, "  %s: %zu more\n", what, n - MAX_LINES);
}

static void write_left(const onnxq_plan *plan, FILE *stream)
{
    static const char what[] = "not taken";
    size_t n = 0;
    for (size_t i = 0; i < onnxq_plan_import_count(plan); i++) {
        const onnxq_import *import = onnxq_plan_get_import(plan, i);
        if (import->reason[0] != '\0')
            write_name(stream, &n, what, import->module, import->reason);
    }
    write_rest(stream, n, what);
}

static void write_suspects(const onnxq_plan *plan, FILE *stream)
{
    static const char what[] = "of another model?";
    size_t n = 0;
    for (size_t i = 0; i < onnxq_plan_import_count(plan); i++) {
        const onnxq_import *import = onnxq_plan_get_import(plan, i);
        char text[64];
        snprintf(text, sizeof(text), "its relative distance is %.2f", import->distance);
        if (import->is_suspect)
            write_name(stream, &n, what, import->module, text);
    }
    write_rest(stream, n, what);
}

/* A product's weight that no module is for. */
static bool is_left_float(const onnxq_weight *weight)
{
    for (size_t i = 0; i < weight->n_uses; i++) {
        const onnxq_use *use = &weight->uses[i];
        const bool is_product =
            strcmp(use->op_type, "MatMul") == 0 || strcmp(use->op_type, "Gemm") == 0;
        if (is_product && use->input == 1 && weight->n_dims == 2 && use->action == ONNXQ_KEEP)
            return true;
    }
    return false;
}

static void write_floats(const onnxq_plan *plan, FILE *stream)
{
    static const char what[] = "weights of products that stay float";
    size_t n = 0;
    for (size_t i = 0; i < onnxq_plan_count(plan); i++)
        if (is_left_float(onnxq_plan_get(plan, i)))
            write_name(stream, &n, what, onnxq_plan_get(plan, i)->name, "");
    write_rest(stream, n, what);
}

void oq_report_imports(const onnxq_plan *plan, FILE *stream)
{
    const struct import_counts counts = count(plan);
    if (counts.taken + counts.left == 0)
        return;
    fprintf(stream, "  from the checkpoint: %zu of %zu modules", counts.taken,
            counts.taken + counts.left);
    if (counts.least <= counts.most)
        fprintf(stream, ", relative distance %.2g to %.2g", counts.least, counts.most);
    putc('\n', stream);
    const size_t n_floats = onnxq_plan_get_summary(plan)->n_imported_floats;
    if (n_floats > 0)
        fprintf(stream, "  float, with the numbers of the checkpoint: %zu tensor%s\n", n_floats,
                oq_report_plural(n_floats));
    write_suspects(plan, stream);
    write_left(plan, stream);
    write_floats(plan, stream);
}
