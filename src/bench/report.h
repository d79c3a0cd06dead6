/* What a benchmark found: for people, for programs, and as a picture. */
#ifndef OQ_BENCH_REPORT_H
#define OQ_BENCH_REPORT_H

#include <stdio.h>

#include "bench/bench.h"
#include "page/page.h"

struct oq_bench_report {
    const struct oq_bench *bench;
    const struct oq_bench_options *options;
    int level;          /* of detail: 0 a table, -1 a line for each model, 1 operators too */
    double min_speedup; /* NAN: none was asked for */
    size_t columns;     /* of a line; 0: any number */
};

void oq_bench_print(const struct oq_bench_report *report, FILE *stream);
/* A part of the text: with what it was measured. */
void oq_bench_print_setup(const struct oq_bench_report *report, FILE *stream);
void oq_bench_write_json(const struct oq_bench_report *report, FILE *stream);
void oq_bench_write_svg(const struct oq_bench_report *report, FILE *stream);
void oq_bench_write_page(const struct oq_bench_report *report, struct oq_page *page);

/* Whether no model is slower than the gate allows; the first is what others are compared with. */
bool oq_bench_passes(const struct oq_bench_report *report);

#endif
