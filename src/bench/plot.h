/* Parts of pictures: text as XML has it, and axes. */
#ifndef OQ_BENCH_PLOT_H
#define OQ_BENCH_PLOT_H

#include <stddef.h>
#include <stdio.h>

/* 1, 2 or 5 times a power of ten, so that at most `most` of them fit into range, both > 0. */
double oq_plot_step(double range, unsigned most);

/*
 * Writes text for XML: escaped, what is no valid character as U+FFFD; longer
 * than `limit` characters it loses its middle.
 */
void oq_plot_text(FILE *stream, const char *text, size_t limit);

/*
 * How dense the sorted values lie: density[i] is for the i-th of n equal parts
 * of 0 .. end, 1 where they are densest. Values beyond the end are left out.
 */
void oq_plot_density(const double *sorted, size_t n_values, double end, double *density, size_t n);

#endif
