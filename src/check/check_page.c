/* The report of a check as a page. */
#include <math.h>
#include <string.h>

#include "check/check.h"

#define MAX_COLUMNS (2 + OQ_N_MEASURES + 3)

static void print_verdict(const void *check, FILE *stream)
{
    oq_check_print_text(check, -1, 0, stream);
}

static void print_setup(const void *check, FILE *stream)
{
    oq_check_print_setup(check, stream);
}

static void print_notes(const void *check, FILE *stream)
{
    oq_check_print_notes(check, stream);
}

static const char *state_of(const struct oq_check *check, const struct oq_check_output *output)
{
    for (size_t i = 0; i < check->n_failures; i++)
        if (check->failures[i].output == output)
            return "failed";
    return output->problem != NULL ? output->problem : "within";
}

static void write_worst(const struct oq_check *check, const struct oq_check_output *output,
                        struct oq_page *page)
{
    const struct oq_check_run *run = &output->runs[output->worst_run];
    bool is_known = run->worst != OQ_NO_ELEMENT;
    oq_page_cell(page, "%s", is_known ? run->texts[1] : "");
    oq_page_cell(page, "%s", is_known ? run->texts[0] : "");
    if (check->n_runs > 1)
        oq_page_cell(page, "%s", is_known ? check->labels[output->worst_run] : "");
}

static void write_measures(const struct oq_check *check, const struct oq_check_output *output,
                           struct oq_page *page)
{
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        enum oq_measure measure = (enum oq_measure)m;
        if (oq_check_has_column(check, measure))
            oq_page_number(page, oq_check_has_numbers(output, measure)
                                     ? oq_measure_get(measure, &output->total)
                                     : (double)NAN);
    }
}

static void write_outputs(const struct oq_check *check, struct oq_page *page)
{
    const char *titles[MAX_COLUMNS] = {"output", "tolerances"};
    char kinds[MAX_COLUMNS + 1] = "ll";
    size_t n = 2;
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        if (!oq_check_has_column(check, (enum oq_measure)m))
            continue;
        titles[n] = oq_measures[m].title;
        kinds[n++] = 'r';
    }
    memcpy(&titles[n], (const char *[]){"worst value", "expected", "with inputs"},
           3 * sizeof(*titles));
    snprintf(&kinds[n], sizeof(kinds) - n, "%s", check->n_runs > 1 ? "rrl" : "rr");
    oq_page_heading(page, "Outputs");
    oq_page_open_table(page, kinds, titles);
    for (size_t i = 0; i < check->n_outputs; i++) {
        const struct oq_check_output *output = &check->outputs[i];
        oq_page_cell(page, "%s", output->name);
        oq_page_cell(page, "%s", state_of(check, output));
        write_measures(check, output, page);
        write_worst(check, output, page);
    }
    oq_page_close_table(page);
}

static void write_models(const struct oq_check *check, struct oq_page *page)
{
    oq_page_open_table(page, "ll", (const char *const[]){"", "file"});
    oq_page_cell(page, "candidate");
    oq_page_cell(page, "%s", check->candidate);
    oq_page_cell(page, "reference");
    oq_page_cell(page, "%s",
                 check->reference != NULL  ? check->reference
                 : check->expected != NULL ? check->expected
                                           : "outputs stored with the inputs");
    oq_page_close_table(page);
}

void oq_check_write_page(const struct oq_check *check, struct oq_page *page)
{
    oq_page_lines(page, print_verdict, check);
    write_models(check, page);
    oq_page_lines(page, print_setup, check);
    write_outputs(check, page);
    oq_page_lines(page, print_notes, check);
    if (check->layers != NULL)
        oq_layers_write_page(check->layers, check->reference, check->candidate, page);
}
