/* The sites as a section of a page, and as a picture: a bar for the error of each. */
#include <math.h>

#include "layers/layers.h"
#include "page/svg.h"

/* A row has the site's name, below it what became of it, its bar and its figure. */
#define WIDTH      960
#define MARGIN     28
#define TOP        84
#define ROW_HEIGHT 46
#define BAR_X      400
#define BAR_W      460
#define BOTTOM     20
#define SHOWN      40 /* sites of a picture, the worst */
#define NAME_LIMIT 100
#define FORM_LIMIT 48

struct hint {
    const struct oq_layers *layers;
    const char *reference, *candidate;
};

/* What the order goes by: the effect on the outputs, or what a site adds where that is not known.
 */
static double error_of(const struct oq_layers *layers, const struct oq_layer *layer)
{
    return layers->no_effects == NULL ? layer->effect : layer->added;
}

static double largest_error(const struct oq_layers *layers)
{
    double largest = 0;
    for (size_t i = 0; i < layers->count; i++)
        if (layers->list[i].unmeasured == NULL)
            largest = fmax(largest, error_of(layers, &layers->list[i]));
    return largest > 0 && isfinite(largest) ? largest : 1;
}

/* --- the section ------------------------------------------------------------------ */

static void print_notes(const void *data, FILE *stream)
{
    const struct hint *hint = data;
    oq_layers_print_notes(hint->layers, hint->reference, hint->candidate, stream);
}

static void write_layer(const struct oq_layers *layers, const struct oq_layer *layer,
                        double largest, struct oq_page *page)
{
    oq_page_cell(page, "%s", layer->site->name);
    oq_page_cell(page, "%s -> %s", layer->site->op_type, layer->site->form);
    oq_page_number(page, 100 * layer->effect);
    oq_page_bar(page, error_of(layers, layer) / largest);
    oq_page_number(page, 100 * layer->added);
    oq_page_number(page, layer->sqnr);
    oq_page_number(page, 100 * layer->accumulated);
}

void oq_layers_write_page(const struct oq_layers *layers, const char *reference,
                          const char *candidate, struct oq_page *page)
{
    const struct hint hint = {layers, reference, candidate};
    double largest = largest_error(layers);
    oq_page_heading(page, "Error by layer");
    oq_page_open_table(page, "llrbrrr",
                       (const char *const[]){"site", "operator", "outputs %", "", "added %",
                                             "added dB", "so far %"});
    for (size_t i = 0; i < layers->count; i++)
        if (layers->list[i].unmeasured == NULL)
            write_layer(layers, &layers->list[i], largest, page);
    oq_page_close_table(page);
    oq_page_lines(page, print_notes, &hint);
}

/* --- the picture ------------------------------------------------------------------ */

static void write_row(const struct oq_layers *layers, const struct oq_layer *layer, double largest,
                      int top, FILE *stream)
{
    double error = error_of(layers, layer);
    double width = isnan(error) ? 0 : BAR_W * fmin(error / largest, 1);
    fprintf(stream, "<text class=\"name\" x=\"%d\" y=\"%d\">", MARGIN, top + 16);
    oq_plot_text(stream, layer->site->name, NAME_LIMIT);
    fprintf(stream, "</text>\n<text class=\"soft\" x=\"%d\" y=\"%d\">", MARGIN, top + 34);
    oq_plot_text(stream, layer->site->op_type, FORM_LIMIT / 2);
    fputs(" to ", stream);
    oq_plot_text(stream, layer->site->form, FORM_LIMIT / 2);
    fprintf(stream,
            "</text>\n<rect fill=\"#2f81f7\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" "
            "rx=\"2\"/><text x=\"%.1f\" y=\"%d\">%.3g %%</text>\n",
            BAR_X, top + 24, width > 1 ? width : 1, BAR_X + width + 8, top + 35, 100 * error);
}

static size_t count_shown(const struct oq_layers *layers)
{
    const size_t n = oq_layers_count_measured(layers);
    return n < SHOWN ? n : SHOWN;
}

void oq_layers_write_svg(const struct oq_layers *layers, FILE *stream)
{
    const size_t n = count_shown(layers);
    const int height = TOP + (int)n * ROW_HEIGHT + BOTTOM;
    const double largest = largest_error(layers);
    oq_picture_open(stream, WIDTH, height);
    fputs("<title>Error by layer</title>\n", stream);
    oq_picture_ground(stream, WIDTH, height);
    fprintf(stream,
            "<text class=\"head\" x=\"%d\" y=\"38\">Error by layer</text>\n"
            "<text class=\"soft\" x=\"%d\" y=\"60\">%s; %zu of %zu sites, the worst first</text>\n",
            MARGIN, MARGIN,
            layers->no_effects == NULL ? "what each site alone does to the outputs"
                                       : "what each site adds to its own result",
            n, layers->count);
    for (size_t i = 0; i < n; i++)
        write_row(layers, &layers->list[i], largest, TOP + (int)i * ROW_HEIGHT, stream);
    fputs("</svg>\n", stream);
}
