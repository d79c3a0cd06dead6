/* The frontier as a picture: each model a point, error against speed; where nothing was timed,
 * against size. */
#include <math.h>

#include "base/path.h"
#include "base/size.h"
#include "page/svg.h"
#include "tune/tune_report.h"

#define WIDTH      760
#define HEIGHT     440
#define LEFT       70.0
#define RIGHT      730.0
#define TOP        70.0
#define BOTTOM     380.0
#define TICKS      6
#define NAME_LIMIT 60

struct axes {
    bool by_speed;
    double most_x, most_error; /* at the ends, where the axes begin with 0 */
};

static double error_of(const struct oq_tune_point *point)
{
    const double relative = oq_tune_judged(point)->relative;
    return isnan(relative) ? 0 : 100 * relative;
}

static double x_of(const struct axes *axes, const struct oq_tune_point *point)
{
    return axes->by_speed ? point->speed : (double)point->nbytes * 1e-6;
}

static struct axes find_axes(const struct oq_tune *tune, bool by_speed)
{
    struct axes axes = {.by_speed = by_speed};
    for (size_t i = 0; i < tune->n_points; i++) {
        double x = x_of(&axes, &tune->points[i]);
        if (isnan(x))
            continue;
        axes.most_x = fmax(axes.most_x, x * 1.1);
        axes.most_error = fmax(axes.most_error, error_of(&tune->points[i]) * 1.1);
    }
    axes.most_x = axes.most_x > 0 ? axes.most_x : 1;
    axes.most_error = axes.most_error > 0 ? axes.most_error : 1;
    return axes;
}

static double place_x(const struct axes *axes, double value)
{
    return LEFT + (RIGHT - LEFT) * value / axes->most_x;
}

static double place_y(const struct axes *axes, double value)
{
    return BOTTOM - (BOTTOM - TOP) * value / axes->most_error;
}

static void draw_axes(const struct axes *axes, FILE *stream)
{
    double step = oq_plot_step(axes->most_x, TICKS);
    for (double value = 0; value <= axes->most_x; value += step) {
        double x = place_x(axes, value);
        fprintf(stream,
                "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n"
                "<text class=\"soft middle\" x=\"%.1f\" y=\"%.1f\">%g</text>\n",
                x, TOP, x, BOTTOM, x, BOTTOM + 18, value);
    }
    step = oq_plot_step(axes->most_error, TICKS);
    for (double value = 0; value <= axes->most_error; value += step) {
        double y = place_y(axes, value);
        fprintf(stream,
                "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n"
                "<text class=\"soft right\" x=\"%.1f\" y=\"%.1f\">%g</text>\n",
                LEFT, y, RIGHT, y, LEFT - 8, y + 4, value);
    }
    fprintf(stream,
            "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n"
            "<text class=\"middle\" x=\"18\" y=\"%.1f\" transform=\"rotate(-90 18 "
            "%.1f)\">error in %%</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 42,
            axes->by_speed ? "times as fast as the float model" : "size in MB", (TOP + BOTTOM) / 2,
            (TOP + BOTTOM) / 2);
}

static void draw_point(const struct axes *axes, const struct oq_tune_point *point, FILE *stream)
{
    double value = x_of(axes, point);
    if (isnan(value))
        return;
    double x = place_x(axes, value), y = place_y(axes, error_of(point));
    const char *name = point->is_best ? "chosen" : point->name;
    if (axes->by_speed && point->speed_low < point->speed_high)
        fprintf(stream, "<line class=\"base\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                place_x(axes, point->speed_low), y,
                place_x(axes, fmin(point->speed_high, axes->most_x)), y);
    fprintf(stream, "<circle fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>\n",
            point->is_best ? "#2f81f7" : "#8b949e", x, y, point->is_best ? 7 : 5);
    if (name[0] != '\0')
        fprintf(stream, "<text%s x=\"%.1f\" y=\"%.1f\">%s, %s</text>\n",
                x > RIGHT - 160 ? " class=\"right\"" : "", x > RIGHT - 160 ? x - 12 : x + 12,
                y - 10, name, oq_size_text(point->nbytes).text);
}

void oq_tune_write_svg(const struct oq_tune_report *report, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    const struct axes axes = find_axes(tune, report->options->is_timed);
    oq_picture_open(stream, WIDTH, HEIGHT);
    fputs("<title>onnxq tune: error against speed</title>\n", stream);
    oq_picture_ground(stream, WIDTH, HEIGHT);
    fprintf(stream, "<text class=\"head\" x=\"%.1f\" y=\"34\">", LEFT);
    oq_plot_text(stream, oq_base_name(report->model), NAME_LIMIT);
    fputs("</text>\n", stream);
    draw_axes(&axes, stream);
    for (size_t i = 0; i < tune->n_points; i++)
        draw_point(&axes, &tune->points[i], stream);
    fputs("</svg>\n", stream);
}
