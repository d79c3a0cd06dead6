/* The report of a benchmark for people, and whether bounds were kept. */
#include "bench/report.h"

#include <math.h>
#include <string.h>

#include "bench/advice.h"
#include "report/report_text.h"

#define CELL_CAPACITY 32
#define NOISY_SPREAD  0.2 /* of the ratio */
#define MAX_OPS       12

enum column { SIZE, LOAD, MEMORY, MIN, P50, P95, RATE, SPEED, N_COLUMNS };

struct row {
    char cells[N_COLUMNS][CELL_CAPACITY];
};

/* --- numbers -------------------------------------------------------------------- */

/* Times of one table have one unit, and digits enough for the shortest. */
struct time_unit {
    const char *name;
    double ms;
    int digits;
};

static struct time_unit choose_unit(double shortest_ms)
{
    struct time_unit unit = {"ms", 1, 1};
    if (shortest_ms < 0.1)
        unit = (struct time_unit){"us", 1e-3, 1};
    else if (shortest_ms >= 10e3)
        unit = (struct time_unit){"s", 1e3, 1};
    double value = shortest_ms / unit.ms;
    unit.digits = value < 1 ? 3 : value < 10 ? 2 : 1;
    return unit;
}

static void format_time(char *text, double ms, struct time_unit unit)
{
    snprintf(text, CELL_CAPACITY, "%.*f %s", unit.digits, ms / unit.ms, unit.name);
}

static void format_size(char *text, uint64_t nbytes)
{
    struct oq_report_unit unit = oq_report_unit(nbytes);
    snprintf(text, CELL_CAPACITY, "%.1f %s", (double)nbytes / unit.nbytes, unit.name);
}

static double shortest_p50(const struct oq_bench *bench)
{
    double shortest = bench->models[0].latency.p50;
    for (size_t i = 1; i < bench->n_models; i++)
        shortest = fmin(shortest, bench->models[i].latency.p50);
    return shortest;
}

static void print_name(FILE *stream, const char *name)
{
    oq_report_cell(stream, name, 0, OQ_REPORT_LONGEST);
}

/* --- the table ------------------------------------------------------------------ */

static struct row make_row(const struct oq_bench_model *model, bool is_first, struct time_unit unit)
{
    struct row row = {0};
    const struct oq_speedup_spread *speedup = &model->speedup;
    format_size(row.cells[SIZE], oq_bench_nbytes(model));
    format_time(row.cells[LOAD], model->load_ms, choose_unit(model->load_ms));
    if (model->memory.peak > 0)
        format_size(row.cells[MEMORY], model->memory.peak);
    format_time(row.cells[MIN], model->latency.min, unit);
    format_time(row.cells[P50], model->latency.p50, unit);
    format_time(row.cells[P95], model->latency.p95, unit);
    double rate = 1e3 / model->latency.p50;
    snprintf(row.cells[RATE], CELL_CAPACITY, "%.*f", rate < 100 ? 1 : 0, rate);
    if (is_first)
        snprintf(row.cells[SPEED], CELL_CAPACITY, "1");
    else
        snprintf(row.cells[SPEED], CELL_CAPACITY, "%.2f (%.2f-%.2f)", speedup->median, speedup->low,
                 speedup->high);
    return row;
}

/* What a narrow line does without, in this order: the other columns tell it as well, or nearly. */
static const enum column less_needed[] = {RATE, MIN, LOAD, MEMORY};

static void widen(size_t widths[N_COLUMNS], const struct row *row)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        size_t width = strlen(row->cells[i]);
        widths[i] = width > widths[i] ? width : widths[i];
    }
}

static void print_row(FILE *stream, const char *name, size_t name_width, const struct row *row,
                      const size_t widths[N_COLUMNS])
{
    fputs("  ", stream);
    oq_report_cell(stream, name, name_width, name_width);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (widths[i] == 0)
            continue;
        if (i == SPEED) /* the last column; its spread is of any length */
            fprintf(stream, "  %s", row->cells[i]);
        else
            fprintf(stream, "  %*s", (int)widths[i], row->cells[i]);
    }
    putc('\n', stream);
}

static size_t measure_names(const struct oq_bench *bench)
{
    size_t longest = strlen("model");
    for (size_t i = 0; i < bench->n_models; i++) {
        size_t width = oq_report_width(bench->models[i].name);
        longest = width > longest ? width : longest;
    }
    return longest;
}

/* Takes columns out until the line has room for the others. */
static void narrow(size_t widths[N_COLUMNS], size_t name_width, size_t columns)
{
    const size_t n_less = sizeof(less_needed) / sizeof(less_needed[0]);
    size_t needed = 2 + name_width;
    for (size_t i = 0; i < N_COLUMNS; i++)
        needed += 2 + widths[i];
    for (size_t i = 0; i < n_less && columns > 0 && needed > columns; i++) {
        needed -= 2 + widths[less_needed[i]];
        widths[less_needed[i]] = 0;
    }
}

static void print_table(const struct oq_bench *bench, size_t columns, FILE *stream)
{
    static const struct row header = {{[SIZE] = "size",
                                       [LOAD] = "load",
                                       [MEMORY] = "memory",
                                       [MIN] = "min",
                                       [P50] = "p50",
                                       [P95] = "p95",
                                       [RATE] = "runs/s",
                                       [SPEED] = "speed"}};
    size_t widths[N_COLUMNS] = {0};
    struct time_unit unit = choose_unit(shortest_p50(bench));
    widen(widths, &header);
    for (size_t i = 0; i < bench->n_models; i++) {
        struct row row = make_row(&bench->models[i], i == 0, unit);
        widen(widths, &row);
    }
    size_t name_width = measure_names(bench);
    narrow(widths, name_width, columns);
    print_row(stream, "model", name_width, &header, widths);
    for (size_t i = 0; i < bench->n_models; i++) {
        struct row row = make_row(&bench->models[i], i == 0, unit);
        print_row(stream, bench->models[i].name, name_width, &row, widths);
    }
}

/* --- how it was measured -------------------------------------------------------- */

static void print_inputs(const struct oq_bench *bench, FILE *stream)
{
    const struct oq_input_set *set = &bench->sets.list[0];
    fputs("  inputs: ", stream);
    for (size_t i = 0; i < set->inputs.count; i++) {
        char text[128];
        oq_array_describe(&set->inputs.list[i], text, sizeof(text));
        fputs(i > 0 ? ", " : "", stream);
        print_name(stream, set->inputs.list[i].name);
        fprintf(stream, " %s", text);
    }
    if (bench->sets.count > 1)
        fprintf(stream, " (the first of %zu)", bench->sets.count);
    putc('\n', stream);
    if (bench->n_tries > 1) {
        fputs("  the usual sizes do not run, these do: ", stream);
        print_name(stream, bench->sets.sizes);
        putc('\n', stream);
    }
}

void oq_bench_print_setup(const struct oq_bench_report *report, FILE *stream)
{
    const struct oq_bench *bench = report->bench;
    unsigned threads = report->options->session.threads;
    fprintf(stream, "  ONNX Runtime %s, ", bench->engine_version);
    if (threads > 0)
        fprintf(stream, "%u thread%s", threads, threads > 1 ? "s" : "");
    else
        fputs("as many threads as it takes", stream);
    fprintf(stream, ", %zu turn%s\n", bench->n_turns, oq_report_plural(bench->n_turns));
    print_inputs(bench, stream);
}

/* --- in words ------------------------------------------------------------------- */

/* ", 3.9x smaller": what changed by a twentieth or more. */
static void print_change(double ratio, const char *less, const char *more, FILE *stream)
{
    if (ratio >= 1.05)
        fprintf(stream, ", %.1fx %s", ratio, less);
    else if (ratio <= 1 / 1.05)
        fprintf(stream, ", %.1fx %s", 1 / ratio, more);
}

static void print_speed(const struct oq_bench_model *model, const char *first, FILE *stream)
{
    const struct oq_speedup_spread *speedup = &model->speedup;
    print_name(stream, model->name);
    if (model->verdict == OQ_FASTER)
        fprintf(stream, " is %.2fx as fast as ", speedup->median);
    else if (model->verdict == OQ_SLOWER)
        fprintf(stream, " is slower, it takes %.2fx as long as ", 1 / speedup->median);
    else
        fputs(": no clear difference in speed from ", stream);
    print_name(stream, first);
    if (model->verdict == OQ_SLOWER)
        fprintf(stream, " (%.2f to %.2f)", 1 / speedup->high, 1 / speedup->low);
    else
        fprintf(stream, " (%.2f to %.2f)", speedup->low, speedup->high);
}

static void print_verdict(const struct oq_bench *bench, size_t i, FILE *stream)
{
    const struct oq_bench_model *first = &bench->models[0], *model = &bench->models[i];
    print_speed(model, first->name, stream);
    print_change((double)oq_bench_nbytes(first) / (double)oq_bench_nbytes(model), "smaller",
                 "larger", stream);
    if (first->memory.peak > 0 && model->memory.peak > 0)
        print_change((double)first->memory.peak / (double)model->memory.peak, "less memory",
                     "more memory", stream);
    putc('\n', stream);
    if (model->speedup.high - model->speedup.low > NOISY_SPREAD * model->speedup.median)
        fputs("  times vary much: something else may be running here; --time measures longer\n",
              stream);
}

static void print_single(const struct oq_bench *bench, FILE *stream)
{
    const struct oq_bench_model *model = &bench->models[0];
    char p50[CELL_CAPACITY], size[CELL_CAPACITY];
    format_time(p50, model->latency.p50, choose_unit(model->latency.p50));
    format_size(size, oq_bench_nbytes(model));
    print_name(stream, model->name);
    fprintf(stream, ": %s for one run (p50), %s\n", p50, size);
}

/* --- operators ------------------------------------------------------------------ */

static void print_blame(const struct oq_blame *blame, struct time_unit unit, FILE *stream)
{
    char ms[CELL_CAPACITY], first_ms[CELL_CAPACITY] = "";
    format_time(ms, blame->ms, unit);
    if (blame->first_op_type[0] != '\0')
        format_time(first_ms, blame->first_ms, unit);
    fputs("  ", stream);
    oq_report_cell(stream, blame->op_type, 24, 24);
    fprintf(stream, "  %5zu  %10s  %10s  ", blame->n_nodes, ms, first_ms);
    oq_report_cell(stream, blame->first_op_type, 16, 16);
    fputs("  ", stream);
    oq_report_cell(stream, blame->slowest, 0, 40);
    putc('\n', stream);
}

static void print_blames(const struct oq_bench_report *report, size_t i, FILE *stream)
{
    const struct oq_bench *bench = report->bench;
    const struct oq_bench_model *first = &bench->models[0], *model = &bench->models[i];
    struct oq_blame blames[OQ_BLAMES_MAX];
    size_t n = oq_find_blames(&model->profile, &first->profile, blames);
    struct time_unit unit = choose_unit(n > 0 ? blames[n - 1].ms : 1);
    if (n == 0)
        return;
    fputs("  where ", stream);
    print_name(stream, model->name);
    fputs(" loses the time, per run:\n", stream);
    fprintf(stream, "  %-24s  %5s  %10s  %-28s  slowest node\n", "operator", "nodes", "takes",
            "instead of");
    for (size_t k = 0; k < n; k++)
        print_blame(&blames[k], unit, stream);
    for (size_t k = 0; k < n; k++) {
        if (blames[k].advice.text[0] != '\0')
            fprintf(stream, "  %s: %s\n", blames[k].op_type, blames[k].advice.text);
    }
    if (report->options->session.opt_level == OQ_OPT_DISABLE)
        fputs("  with --opt-level disable nothing is folded or fused when a model is loaded\n",
              stream);
}

static void print_ops(const struct oq_bench_model *model, FILE *stream)
{
    size_t n = model->profile.n_ops < MAX_OPS ? model->profile.n_ops : MAX_OPS;
    struct time_unit unit = choose_unit(model->profile.ops[0].ms / 10);
    fputs("  operators of ", stream);
    print_name(stream, model->name);
    fputs(", per run:\n", stream);
    for (size_t i = 0; i < n; i++) {
        const struct oq_profile_op *op = &model->profile.ops[i];
        char ms[CELL_CAPACITY];
        format_time(ms, op->ms, unit);
        fputs("  ", stream);
        oq_report_cell(stream, op->op_type, 24, 24);
        fprintf(stream, "  %5zu  %10s  %5.1f %%\n", op->n_nodes, ms,
                100 * op->ms / model->profile.ms);
    }
}

/* --- all of it ------------------------------------------------------------------ */

void oq_bench_print(const struct oq_bench_report *report, FILE *stream)
{
    const struct oq_bench *bench = report->bench;
    if (report->level >= 0) {
        oq_bench_print_setup(report, stream);
        print_table(bench, report->columns, stream);
    } else if (bench->n_models == 1) {
        print_single(bench, stream);
    }
    for (size_t i = 0; report->level > 0 && i < bench->n_models; i++) {
        if (bench->models[i].has_profile)
            print_ops(&bench->models[i], stream);
    }
    for (size_t i = 1; i < bench->n_models; i++) {
        if (report->level >= 0 && bench->models[i].verdict == OQ_SLOWER &&
            bench->models[i].has_profile)
            print_blames(report, i, stream);
    }
    for (size_t i = 1; i < bench->n_models; i++)
        print_verdict(bench, i, stream);
}

bool oq_bench_passes(const struct oq_bench_report *report)
{
    for (size_t i = 1; !isnan(report->min_speedup) && i < report->bench->n_models; i++) {
        if (!(report->bench->models[i].speedup.median >= report->min_speedup))
            return false;
    }
    return true;
}
