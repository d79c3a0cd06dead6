/* The report of a benchmark as a picture: latency, size and memory of each model. */
#include "bench/report.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "bench/plot.h"
#include "page/svg.h"
#include "report/report_text.h"

/*
 * A row for each model: its name in a line of its own, then its figures, below
 * them the distribution of its times, a bar for its size and one for its memory.
 */
#define WIDTH       960
#define MARGIN      28
#define TOP         104 /* of the first row */
#define ROW_HEIGHT  102
#define NAME_Y      20 /* of the name, from the top of its row */
#define FIGURES_Y   40
#define BAND_CENTER 68 /* of what is drawn, from the top of its row */
#define BAND_HALF   17
#define LATENCY_X   MARGIN
#define LATENCY_W   520
#define SIZE_X      592
#define MEMORY_X    776
#define BAR_W       96 /* of the longest; its figure stands behind it */
#define BAR_H       18
#define BOTTOM      76 /* below the last row */
#define N_PARTS     260
#define MAX_TICKS   7
#define NAME_LIMIT  255                       /* of what is longer the middle is left out */
#define NAME_WIDTH  (WIDTH - 2 * MARGIN - 16) /* what would be wider is squeezed */
#define NAME_GLYPH  8.6                       /* at most, of the average one of a name */
#define INPUT_LIMIT 122

/* Colors that can be told from each other on light and dark ground; the first model's is grey. */
static const char *const colors[] = {"#8b949e", "#2f81f7", "#3fb950", "#db8a2b",
                                     "#a371f7", "#db61a2", "#2aa198"};

struct axis {
    const char *unit;
    double ms;  /* of the unit */
    double end; /* in ms */
};

/* --- scales --------------------------------------------------------------------- */

/* Ends behind the slowest model's p95; the few runs beyond are not drawn. */
static struct axis choose_axis(const struct oq_bench *bench)
{
    struct axis axis = {"ms", 1, 0};
    for (size_t i = 0; i < bench->n_models; i++)
        axis.end = fmax(axis.end, 1.2 * bench->models[i].latency.p95);
    if (axis.end < 1)
        axis = (struct axis){"us", 1e-3, axis.end};
    else if (axis.end >= 10e3)
        axis = (struct axis){"s", 1e3, axis.end};
    return axis;
}

static size_t count_beyond(const struct oq_bench *bench, const struct axis *axis)
{
    size_t n = 0;
    for (size_t i = 0; i < bench->n_models; i++) {
        const struct oq_series *times = &bench->models[i].times;
        for (size_t k = times->count; k > 0 && times->values[k - 1] > axis->end; k--)
            n++;
    }
    return n;
}

static double place(const struct axis *axis, double ms)
{
    return LATENCY_X + LATENCY_W * fmin(ms / axis->end, 1);
}

static int digits_for(double step)
{
    return step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
}

static void write_size(FILE *stream, uint64_t nbytes)
{
    struct oq_size size = oq_size(nbytes);
    fprintf(stream, "%.*f %s", nbytes >= 1000 && size.value < 100 ? 1 : 0, size.value, size.unit);
}

static void write_time(FILE *stream, const struct axis *axis, double ms)
{
    double value = ms / axis->ms;
    fprintf(stream, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, axis->unit);
}

/* --- the frame ------------------------------------------------------------------ */

static void write_head(const struct oq_bench *bench, int height, FILE *stream)
{
    oq_picture_open(stream, WIDTH, height);
    fputs("<title>Latency, size and memory of", stream);
    for (size_t i = 0; i < bench->n_models; i++) {
        fputs(i > 0 ? ", " : " ", stream);
        oq_plot_text(stream, bench->models[i].name, NAME_LIMIT);
    }
    fputs("</title>\n", stream);
    oq_picture_ground(stream, WIDTH, height);
}

static void describe_inputs(const struct oq_input_set *set, char *text, size_t capacity)
{
    text[0] = '\0';
    for (size_t i = 0; i < set->inputs.count; i++) {
        char array[128];
        size_t used = strlen(text);
        oq_array_describe(&set->inputs.list[i], array, sizeof(array));
        if (used + 1 < capacity)
            snprintf(text + used, capacity - used, "%s%s %s", i > 0 ? ", " : "",
                     set->inputs.list[i].name, array);
    }
}

static void write_titles(const struct oq_bench_report *report, FILE *stream)
{
    char inputs[1024], setup[1200];
    unsigned threads = report->options->session.threads;
    describe_inputs(&report->bench->sets.list[0], inputs, sizeof(inputs));
    if (threads > 0)
        snprintf(setup, sizeof(setup), "ONNX Runtime %s, %u thread%s: %s",
                 report->bench->engine_version, threads, threads > 1 ? "s" : "", inputs);
    else
        snprintf(setup, sizeof(setup), "ONNX Runtime %s: %s", report->bench->engine_version,
                 inputs);
    fprintf(stream, "<text class=\"head\" x=\"%d\" y=\"38\">Latency, size and memory</text>\n",
            MARGIN);
    fprintf(stream, "<text class=\"soft\" x=\"%d\" y=\"60\">", MARGIN);
    oq_plot_text(stream, setup, INPUT_LIMIT);
    fputs("</text>\n", stream);
    fprintf(stream, "<text class=\"soft\" x=\"%d\" y=\"%d\">model</text>\n", MARGIN + 8, TOP - 14);
    fprintf(stream, "<text class=\"soft right\" x=\"%d\" y=\"%d\">one run: p50 (p95)</text>\n",
            LATENCY_X + LATENCY_W, TOP - 14);
    fprintf(stream, "<text class=\"soft\" x=\"%d\" y=\"%d\">size</text>\n", SIZE_X, TOP - 14);
    fprintf(stream, "<text class=\"soft\" x=\"%d\" y=\"%d\">peak memory</text>\n", MEMORY_X,
            TOP - 14);
}

static void write_axis(const struct axis *axis, size_t n_beyond, int bottom, FILE *stream)
{
    double step = oq_plot_step(axis->end / axis->ms, MAX_TICKS);
    for (unsigned i = 0; i * step <= axis->end / axis->ms; i++) {
        double x = place(axis, i * step * axis->ms);
        fprintf(stream,
                "<line class=\"%s\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                "<text class=\"soft middle\" x=\"%.1f\" y=\"%d\">%.*f%s%s</text>\n",
                i > 0 ? "grid" : "base", x, TOP, x, bottom, x, bottom + 18, digits_for(step),
                i * step, i > 0 ? "" : " ", i > 0 ? "" : axis->unit);
    }
    fprintf(stream,
            "<text class=\"soft\" x=\"%d\" y=\"%d\">line: minimum to p95, dot: p50, shape: how "
            "many runs took how long",
            LATENCY_X, bottom + 38);
    if (n_beyond > 0)
        fprintf(stream, " (%zu took longer)", n_beyond);
    fputs("</text>\n", stream);
}

/* --- rows ----------------------------------------------------------------------- */

static size_t find_part(const struct axis *axis, double ms)
{
    double part = ms / axis->end * N_PARTS;
    return part < N_PARTS ? (size_t)part : N_PARTS - 1;
}

/* Mirrored around the center, from the fastest run to the slowest. */
static void write_shape(const struct oq_bench_model *model, const struct axis *axis, double center,
                        const char *color, FILE *stream)
{
    double density[N_PARTS];
    size_t first = find_part(axis, model->latency.min);
    size_t last = find_part(axis, model->latency.max);
    oq_plot_density(model->times.values, model->times.count, axis->end, density, N_PARTS);
    fprintf(stream, "<path fill=\"%s\" fill-opacity=\".55\" stroke=\"%s\" d=\"M", color, color);
    for (size_t i = first; i <= last; i++)
        fprintf(stream, "%.1f %.1f ", LATENCY_X + LATENCY_W * ((double)i + 0.5) / N_PARTS,
                center - BAND_HALF * density[i]);
    for (size_t i = last + 1; i-- > first;)
        fprintf(stream, "%.1f %.1f ", LATENCY_X + LATENCY_W * ((double)i + 0.5) / N_PARTS,
                center + BAND_HALF * density[i]);
    fputs("Z\"/>\n", stream);
}

static void write_latency(const struct oq_bench_model *model, const struct axis *axis, int top,
                          const char *color, FILE *stream)
{
    int center = top + BAND_CENTER;
    write_shape(model, axis, center, color, stream);
    fprintf(stream,
            "<line class=\"mark\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
            "<circle class=\"mark\" cx=\"%.1f\" cy=\"%d\" r=\"3\"/>\n",
            place(axis, model->latency.min), center, place(axis, model->latency.p95), center,
            place(axis, model->latency.p50), center);
    fprintf(stream, "<text class=\"right\" x=\"%d\" y=\"%d\">", LATENCY_X + LATENCY_W,
            top + FIGURES_Y);
    write_time(stream, axis, model->latency.p50);
    fputs(" <tspan class=\"soft\">(", stream);
    write_time(stream, axis, model->latency.p95);
    fputs(")</tspan></text>\n", stream);
}

static void write_bar(uint64_t nbytes, uint64_t longest, int x, int top, const char *color,
                      FILE *stream)
{
    double width = longest > 0 ? BAR_W * (double)nbytes / (double)longest : 0;
    width = width < 1 ? 1 : width;
    fprintf(stream, "<rect fill=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
            color, x, top + BAND_CENTER - BAR_H / 2, width, BAR_H);
    fprintf(stream, "<text x=\"%.1f\" y=\"%d\">", x + width + 6, top + BAND_CENTER + 5);
    write_size(stream, nbytes);
    fputs("</text>\n", stream);
}

static void write_name(const struct oq_bench_model *model, bool is_first, int top, FILE *stream)
{
    fprintf(stream, "<text class=\"name\" x=\"%d\" y=\"%d\"", MARGIN + 8, top + NAME_Y);
    if ((double)oq_report_width(model->name) * NAME_GLYPH > NAME_WIDTH)
        fprintf(stream, " textLength=\"%d\" lengthAdjust=\"spacingAndGlyphs\"", NAME_WIDTH);
    putc('>', stream);
    oq_plot_text(stream, model->name, NAME_LIMIT);
    fputs("</text>\n", stream);
    if (!is_first)
        fprintf(stream, "<text class=\"soft\" x=\"%d\" y=\"%d\">%.2fx as fast</text>\n", MARGIN + 8,
                top + FIGURES_Y, model->speedup.median);
}

static void write_rows(const struct oq_bench *bench, const struct axis *axis, FILE *stream)
{
    uint64_t largest = 0, most = 0;
    for (size_t i = 0; i < bench->n_models; i++) {
        uint64_t nbytes = oq_bench_nbytes(&bench->models[i]);
        largest = nbytes > largest ? nbytes : largest;
        most = bench->models[i].memory.peak > most ? bench->models[i].memory.peak : most;
    }
    for (size_t i = 0; i < bench->n_models; i++) {
        const struct oq_bench_model *model = &bench->models[i];
        size_t n_colors = sizeof(colors) / sizeof(colors[0]);
        const char *color = i == 0 ? colors[0] : colors[1 + (i - 1) % (n_colors - 1)];
        int top = TOP + (int)i * ROW_HEIGHT;
        write_name(model, i == 0, top, stream);
        write_latency(model, axis, top, color, stream);
        write_bar(oq_bench_nbytes(model), largest, SIZE_X, top, color, stream);
        if (model->memory.peak > 0)
            write_bar(model->memory.peak, most, MEMORY_X, top, color, stream);
    }
}

void oq_bench_write_svg(const struct oq_bench_report *report, FILE *stream)
{
    const struct oq_bench *bench = report->bench;
    struct axis axis = choose_axis(bench);
    int bottom = TOP + (int)bench->n_models * ROW_HEIGHT;
    write_head(bench, bottom + BOTTOM, stream);
    write_titles(report, stream);
    write_axis(&axis, count_beyond(bench, &axis), bottom, stream);
    write_rows(bench, &axis, stream);
    fputs("</svg>\n", stream);
}
