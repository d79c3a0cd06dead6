/* How values are distributed. */
#include "bench/plot.h"

#include <math.h>
#include <string.h>

#include "bench/stats.h"

/* The width of Silverman's rule of thumb, in parts; at least one. */
static double choose_width(const double *sorted, size_t n_values, double part)
{
    double middle = oq_quantile(sorted, n_values, 0.75) - oq_quantile(sorted, n_values, 0.25);
    double width = 0.9 * middle / 1.34 * pow((double)n_values, -0.2) / part;
    return width > 1 ? width : 1;
}

static void smear(double count, size_t place, double width, double *density, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double distance = ((double)i - (double)place) / width;
        density[i] += count * exp(-0.5 * distance * distance);
    }
}

/* The part that a value below the end is in. */
static size_t find_part(double value, double part, size_t n)
{
    size_t place = value > 0 ? (size_t)(value / part) : 0;
    return place < n ? place : n - 1;
}

void oq_plot_density(const double *sorted, size_t n_values, double end, double *density, size_t n)
{
    double part = end / (double)n, most = 0;
    double width = choose_width(sorted, n_values, part);
    memset(density, 0, n * sizeof(*density));
    for (size_t i = 0; i < n_values && sorted[i] < end;) {
        size_t place = find_part(sorted[i], part, n), first = i;
        while (i < n_values && sorted[i] < end && find_part(sorted[i], part, n) == place)
            i++;
        smear((double)(i - first), place, width, density, n);
    }
    for (size_t i = 0; i < n; i++)
        most = fmax(most, density[i]);
    for (size_t i = 0; i < n; i++)
        density[i] = most > 0 ? density[i] / most : 0;
}
