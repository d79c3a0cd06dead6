/* Ticks, scales and escaped text of pictures. */
#include "bench/plot.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "bench/stats.h"

/* --- numbers -------------------------------------------------------------------- */

double oq_plot_step(double range, unsigned most)
{
    double power = pow(10, floor(log10(range / most)));
    while (range / power > most) {
        if (range / (2 * power) <= most)
            return 2 * power;
        if (range / (5 * power) <= most)
            return 5 * power;
        power *= 10;
    }
    return power;
}

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

/* --- text ----------------------------------------------------------------------- */

/* The next character and its length in bytes; what is none is U+FFFD. */
static size_t next_character(const char *text, uint32_t *character)
{
    size_t length = oq_utf8_decode(text, strlen(text), character);
    bool is_valid = length > 0 && *character >= 0x20 &&
                    !(*character >= 0x7f && *character < 0xa0) && (*character & 0xfffe) != 0xfffe;
    if (!is_valid)
        *character = 0xfffd;
    return length > 0 ? length : 1;
}

static void write_character(FILE *stream, const char *bytes, size_t length, uint32_t character)
{
    switch (character) {
    case '&':
        fputs("&amp;", stream);
        break;
    case '<':
        fputs("&lt;", stream);
        break;
    case '>':
        fputs("&gt;", stream);
        break;
    case '"':
        fputs("&quot;", stream);
        break;
    case 0xfffd:
        fputs("\xef\xbf\xbd", stream);
        break;
    default:
        fwrite(bytes, 1, length, stream);
    }
}

static size_t count_characters(const char *text)
{
    size_t n = 0;
    uint32_t character;
    for (; *text != '\0'; text += next_character(text, &character))
        n++;
    return n;
}

void oq_plot_text(FILE *stream, const char *text, size_t limit)
{
    size_t n = count_characters(text), head = (limit - 2) / 2, tail = limit - 3 - head;
    for (size_t i = 0; *text != '\0'; i++) {
        uint32_t character;
        size_t length = next_character(text, &character);
        if (n <= limit || i < head || i >= n - tail)
            write_character(stream, text, length, character);
        else if (i == head)
            fputs("...", stream);
        text += length;
    }
}
