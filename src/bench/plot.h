/* How values are distributed, for a picture. */
#ifndef OQ_BENCH_PLOT_H
#define OQ_BENCH_PLOT_H

#include <stddef.h>

/*
 * How dense the sorted values lie: density[i] is for the i-th of n equal parts
 * of 0 .. end, 1 where they are densest. Values beyond the end are left out.
 */
void oq_plot_density(const double *sorted, size_t n_values, double end, double *density, size_t n);

#endif
