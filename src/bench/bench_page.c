/* The report of a benchmark as a page: the picture, and the figures below it. */
#include <math.h>

#include "base/size.h"
#include "bench/advice.h"
#include "bench/report.h"

static void print_verdict(const void *report, FILE *stream)
{
    struct oq_bench_report brief = *(const struct oq_bench_report *)report;
    brief.level = -1;
    oq_bench_print(&brief, stream);
}

static void print_setup(const void *report, FILE *stream)
{
    oq_bench_print_setup(report, stream);
}

static void print_advice(const void *advice, FILE *stream)
{
    fputs(((const struct oq_blame *)advice)->advice.text, stream);
}

static void write_model(const struct oq_bench_model *model, bool is_first, struct oq_page *page)
{
    const struct oq_speedup_spread *speedup = &model->speedup;
    oq_page_cell(page, "%s", model->name);
    oq_page_cell(page, "%s", oq_size_text(oq_bench_nbytes(model)).text);
    oq_page_cell(page, "%s", model->memory.peak > 0 ? oq_size_text(model->memory.peak).text : "-");
    oq_page_number(page, model->load_ms);
    oq_page_number(page, model->latency.min);
    oq_page_number(page, model->latency.p50);
    oq_page_number(page, model->latency.p95);
    oq_page_number(page, 1e3 / model->latency.p50);
    if (is_first)
        oq_page_cell(page, "1");
    else
        oq_page_cell(page, "%.2f (%.2f-%.2f)", speedup->median, speedup->low, speedup->high);
}

static void write_models(const struct oq_bench *bench, struct oq_page *page)
{
    static const char *const titles[] = {"model",  "size",   "memory", "load ms", "min ms",
                                         "p50 ms", "p95 ms", "runs/s", "speed"};
    oq_page_open_table(page, "lrrrrrrrr", titles);
    for (size_t i = 0; i < bench->n_models; i++)
        write_model(&bench->models[i], i == 0, page);
    oq_page_close_table(page);
}

static void write_operators(const struct oq_bench_model *model, struct oq_page *page)
{
    const struct oq_profile *profile = &model->profile;
    static const char *const titles[] = {"operator", "nodes", "ms in one run", "", "slowest node"};
    oq_page_heading(page, "Time by operator: %s", model->name);
    oq_page_open_table(page, "lrrbl", titles);
    for (size_t i = 0; i < profile->n_ops; i++) {
        const struct oq_profile_op *op = &profile->ops[i];
        oq_page_cell(page, "%s", op->op_type);
        oq_page_cell(page, "%zu", op->n_nodes);
        oq_page_number(page, op->ms);
        oq_page_bar(page, op->ms / profile->ops[0].ms);
        oq_page_cell(page, "%s", op->slowest);
    }
    oq_page_close_table(page);
}

static void write_blames(const struct oq_bench *bench, const struct oq_bench_model *model,
                         struct oq_page *page)
{
    static const char *const titles[] = {"operator", "nodes", "takes ms", "instead of ms", "in"};
    struct oq_blame blames[OQ_BLAMES_MAX];
    size_t n = oq_find_blames(&model->profile, &bench->models[0].profile, blames);
    if (n == 0)
        return;
    oq_page_heading(page, "Where %s loses the time", model->name);
    oq_page_open_table(page, "lrrrl", titles);
    for (size_t i = 0; i < n; i++) {
        oq_page_cell(page, "%s", blames[i].op_type);
        oq_page_cell(page, "%zu", blames[i].n_nodes);
        oq_page_number(page, blames[i].ms);
        oq_page_number(page, blames[i].first_op_type[0] != '\0' ? blames[i].first_ms : (double)NAN);
        oq_page_cell(page, "%s", blames[i].first_op_type);
    }
    oq_page_close_table(page);
    for (size_t i = 0; i < n; i++)
        oq_page_lines(page, print_advice, &blames[i]);
}

void oq_bench_write_page(const struct oq_bench_report *report, struct oq_page *page)
{
    const struct oq_bench *bench = report->bench;
    oq_page_lines(page, print_verdict, report);
    if (oq_page_open_picture(page)) {
        oq_bench_write_svg(report, page->stream);
        oq_page_close_picture(page);
    }
    write_models(bench, page);
    oq_page_lines(page, print_setup, report);
    for (size_t i = 1; i < bench->n_models; i++)
        if (bench->models[i].verdict == OQ_SLOWER && bench->models[i].has_profile)
            write_blames(bench, &bench->models[i], page);
    for (size_t i = 0; i < bench->n_models; i++)
        if (bench->models[i].has_profile && bench->models[i].profile.n_ops > 0)
            write_operators(&bench->models[i], page);
}
