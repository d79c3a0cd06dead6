/* The report of a search as a page: the frontier as a picture, and every model that was run. */
#include <math.h>

#include "base/size.h"
#include "tune/tune_report.h"

static void print_verdict(const void *report, FILE *stream)
{
    oq_tune_print(report, -1, stream);
}

static void write_forms(const struct oq_tune_point *point, struct oq_page *page)
{
    char text[256] = "as quantize writes";
    int used = 0;
    for (int form = 0; point->forms != NULL && form < OQ_N_FORMS; form++)
        if (point->n_of_form[form] > 0 && used < (int)sizeof(text))
            used +=
                snprintf(text + used, sizeof(text) - (size_t)used, "%s%zu %s", used > 0 ? ", " : "",
                         point->n_of_form[form], oq_tune_forms[form].name);
    oq_page_cell(page, "%s", text);
}

static void write_point(const struct oq_tune_point *point, struct oq_page *page)
{
    oq_page_cell(page, "%s", point->is_best ? "chosen" : point->name);
    oq_page_cell(page, "%s", oq_size_text(point->nbytes).text);
    oq_page_number(page, 100 * point->search.relative);
    oq_page_number(page, point->has_unseen ? 100 * point->unseen.relative : (double)NAN);
    oq_page_number(page, point->metric);
    oq_page_number(page, point->speed);
    write_forms(point, page);
}

static void write_sites(const struct oq_tune *tune, struct oq_page *page)
{
    const struct oq_tune_point *best = &tune->points[tune->best];
    static const char *const titles[] = {"site", "form", "outputs %", "ms"};
    oq_page_heading(page, "Weights of the chosen model");
    oq_page_open_table(page, "llrr", titles);
    for (size_t i = 0; i < tune->n_sites; i++) {
        const struct oq_tune_site *site = &tune->sites[i];
        const struct oq_tune_cost *cost = &site->costs[best->forms[i]];
        oq_page_cell(page, "%s", site->node);
        oq_page_cell(page, "%s", oq_tune_forms[best->forms[i]].name);
        oq_page_number(page, 100 * sqrt(cost->error));
        oq_page_number(page, cost->ms);
    }
    oq_page_close_table(page);
}

void oq_tune_write_page(const struct oq_tune_report *report, struct oq_page *page)
{
    const struct oq_tune *tune = report->tune;
    static const char *const titles[] = {"model",  "size",  "error %", "unseen %",
                                         "metric", "speed", "weights"};
    oq_page_lines(page, print_verdict, report);
    if (oq_page_open_picture(page)) {
        oq_tune_write_svg(report, page->stream);
        oq_page_close_picture(page);
    }
    oq_page_open_table(page, "lrrrrrl", titles);
    for (size_t i = 0; i < tune->n_points; i++)
        write_point(&tune->points[i], page);
    oq_page_close_table(page);
    if (tune->best != 0 && tune->points[tune->best].forms != NULL)
        write_sites(tune, page);
}
