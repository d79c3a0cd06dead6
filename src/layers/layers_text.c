/* The table of sites for people, and as JSON. */
#include <math.h>
#include <string.h>

#include "layers/layers.h"
#include "report/report_text.h"

#define SHOWN         20 /* sites without -v */
#define FORM_CAPACITY 160
#define NUMBER_WIDTH  10
#define PATH_CAPACITY 2112 /* of 512 characters that are quoted, four each */

/* More names than this make no command that anybody reads. */
#define MAX_EXCLUDED 8

/* --- one line -------------------------------------------------------------------- */

/* "MatMul -> MatMulInteger", "If -> 12 inside" */
static void format_form(const struct oq_layer_site *site, char form[FORM_CAPACITY])
{
    int used = snprintf(form, FORM_CAPACITY, "%s -> %s", site->op_type, site->form);
    if (site->n_inside > 0 && used > 0 && used < FORM_CAPACITY)
        snprintf(form + used, (size_t)(FORM_CAPACITY - used), " (%zu)", site->n_inside);
}

static void print_number(FILE *stream, double value, int decimals)
{
    if (isnan(value))
        fprintf(stream, "  %*s", NUMBER_WIDTH, "-");
    else if (fabs(value) < 1e6)
        fprintf(stream, "  %*.*f", NUMBER_WIDTH, decimals, value);
    else
        fprintf(stream, "  %*.3g", NUMBER_WIDTH, value);
}

static void print_percent(FILE *stream, double value)
{
    print_number(stream, 100 * value, 3);
}

struct layer_widths {
    size_t name, form;
};

static void print_layer(const struct oq_layers *layers, const struct oq_layer *layer,
                        const struct layer_widths *widths, FILE *stream)
{
    char form[FORM_CAPACITY];
    format_form(layer->site, form);
    fputs("  ", stream);
    oq_report_cell(stream, layer->site->name, widths->name + 2, widths->name);
    oq_report_cell(stream, form, widths->form, widths->form);
    if (layers->no_effects == NULL)
        print_percent(stream, layer->effect);
    print_percent(stream, layer->added);
    print_number(stream, layer->sqnr, 1);
    print_percent(stream, layer->accumulated);
    putc('\n', stream);
}

/* --- the table ------------------------------------------------------------------- */

size_t oq_layers_count_measured(const struct oq_layers *layers)
{
    size_t n = 0;
    while (n < layers->count && layers->list[n].unmeasured == NULL)
        n++;
    return n;
}

static void print_table(const struct oq_layers *layers, size_t n, FILE *stream)
{
    struct layer_widths widths = {strlen("site"), strlen("operator")};
    for (size_t i = 0; i < n; i++) {
        char form[FORM_CAPACITY];
        format_form(layers->list[i].site, form);
        oq_report_widen(&widths.name, layers->list[i].site->name, OQ_REPORT_NO_LIMIT);
        oq_report_widen(&widths.form, form, OQ_REPORT_NO_LIMIT);
    }
    widths.name = widths.name < OQ_REPORT_LONGEST ? widths.name : OQ_REPORT_LONGEST;
    fprintf(stream, "  %-*s%-*s", (int)widths.name + 2, "site", (int)widths.form, "operator");
    if (layers->no_effects == NULL)
        fprintf(stream, "  %*s", NUMBER_WIDTH, "outputs %");
    fprintf(stream, "  %*s  %*s  %*s\n", NUMBER_WIDTH, "added %", NUMBER_WIDTH, "added dB",
            NUMBER_WIDTH, "so far %");
    for (size_t i = 0; i < n; i++)
        print_layer(layers, &layers->list[i], &widths, stream);
}

static void print_unmeasured(const struct oq_layers *layers, size_t first, size_t end, FILE *stream)
{
    for (size_t i = first; i < end; i++) {
        fputs("  not measured: ", stream);
        oq_report_cell(stream, layers->list[i].site->name, 0, OQ_REPORT_LONGEST);
        fputs(": ", stream);
        oq_report_cell(stream, layers->list[i].unmeasured, 0, OQ_REPORT_NO_LIMIT);
        putc('\n', stream);
    }
}

static void print_notes(const struct oq_layers *layers, size_t n_left, FILE *stream)
{
    if (n_left > 0)
        fprintf(stream, "  and %zu more (-v)\n", n_left);
    if (layers->n_inside > 0)
        fprintf(stream,
                "  %zu quantized operators in bodies of If, Loop or Scan are not told apart\n",
                layers->n_inside);
    if (layers->no_effects != NULL) {
        fputs("  effects on the outputs are not known: ", stream);
        oq_report_cell(stream, layers->no_effects, 0, OQ_REPORT_NO_LIMIT);
        putc('\n', stream);
    }
}

/* --- what to do ------------------------------------------------------------------ */

/* As it is, in quotes that the shell takes off; false where that would say something else. */
static bool can_quote(const char *text)
{
    char escaped[512];
    return onnxq_escape(text, escaped, sizeof(escaped)) < sizeof(escaped) &&
           strcmp(text, escaped) == 0;
}

static bool is_plain(const char *text)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+:,";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

static void print_quoted(FILE *stream, const char *text)
{
    if (is_plain(text)) {
        fputs(text, stream);
        return;
    }
    putc('\'', stream);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stream);
        else
            putc(*text, stream);
    }
    putc('\'', stream);
}

/* A path that begins with a dash would be an option. */
static void print_path(FILE *stream, const char *path)
{
    fputs(path[0] == '-' ? "./" : "", stream);
    print_quoted(stream, path);
}

/* A name as the glob that matches it alone. */
static void print_glob(FILE *stream, const char *name)
{
    char glob[PATH_CAPACITY];
    size_t n = 0;
    for (; *name != '\0' && n + 4 < sizeof(glob); name++) {
        bool is_special = strchr("*?[", *name) != NULL;
        n += (size_t)snprintf(glob + n, sizeof(glob) - n, is_special ? "[%c]" : "%c", *name);
    }
    glob[n] = '\0';
    print_quoted(stream, glob);
}

/* "model.int8.mixed.onnx": some of its weights are floats; and CANDIDATE stays to compare with. */
static void print_output(FILE *stream, const char *candidate)
{
    char path[PATH_CAPACITY];
    const char *dot = strrchr(candidate, '.'), *slash = strrchr(candidate, '/');
    bool has_ending = dot != NULL && dot != candidate && (slash == NULL || dot > slash + 1);
    int n_stem = (int)(has_ending ? (size_t)(dot - candidate) : strlen(candidate));
    snprintf(path, sizeof(path), "%.*s.mixed.onnx", n_stem, candidate);
    print_path(stream, path);
}

static bool can_exclude(const struct oq_layer *layer)
{
    const struct oq_name_list *names = &layer->site->weights;
    bool can = layer->unmeasured == NULL && names->count > 0 && names->count <= MAX_EXCLUDED &&
               layer->added > 0;
    for (size_t i = 0; can && i < names->count; i++)
        can = can_quote(names->list[i]);
    return can;
}

/* A command that runs as it stands there, on the files that were checked. */
static void print_hint(const struct oq_layers *layers, const char *reference, const char *candidate,
                       FILE *stream)
{
    const struct oq_layer *layer = layers->list; /* the worst */
    if (layers->count == 0 || !can_exclude(layer) || !can_quote(reference) || !can_quote(candidate))
        return;
    fputs("  the most is gained by:\n    onnxq quantize", stream);
    for (size_t i = 0; i < layer->site->weights.count; i++) {
        fputs(" --exclude=", stream);
        print_glob(stream, layer->site->weights.list[i]);
    }
    putc(' ', stream);
    print_path(stream, reference);
    putc(' ', stream);
    print_output(stream, candidate);
    putc('\n', stream);
}

static void print_nothing(const struct oq_layers *layers, FILE *stream)
{
    if (layers->sites.n_common == 0)
        fputs("  no inner value has the same name in both models: there are no layers to compare\n",
              stream);
    else if (layers->count == 0)
        fprintf(stream, "  both models compute all their %zu common values alike\n",
                layers->sites.n_common);
}

void oq_layers_print_text(const struct oq_layers *layers, const char *reference,
                          const char *candidate, int level, FILE *stream)
{
    const size_t n = oq_layers_count_measured(layers), n_all = layers->count;
    const size_t shown = level > 0 || n < SHOWN ? n : SHOWN;
    const size_t end = level > 0 || n_all - n < SHOWN ? n_all : n + SHOWN;
    print_nothing(layers, stream);
    if (shown > 0)
        print_table(layers, shown, stream);
    print_unmeasured(layers, n, end, stream);
    print_notes(layers, (n - shown) + (n_all - end), stream);
    print_hint(layers, reference, candidate, stream);
}

void oq_layers_print_notes(const struct oq_layers *layers, const char *reference,
                           const char *candidate, FILE *stream)
{
    print_nothing(layers, stream);
    print_unmeasured(layers, oq_layers_count_measured(layers), layers->count, stream);
    print_notes(layers, 0, stream);
    print_hint(layers, reference, candidate, stream);
}

/* --- JSON ------------------------------------------------------------------------ */

static void write_layer(struct oq_json *json, const struct oq_layer *layer)
{
    const struct oq_layer_site *site = layer->site;
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", site->name);
    oq_json_string(json, "op_type", site->op_type);
    oq_json_string(json, "form", site->form);
    oq_json_strings(json, "values", site->values.list, site->values.count);
    oq_json_number(json, "output_error", layer->effect);
    oq_json_number(json, "added_error", layer->added);
    oq_json_number(json, "added_sqnr", layer->sqnr);
    oq_json_number(json, "accumulated_error", layer->accumulated);
    oq_json_uint(json, "quantized_inside", site->n_inside);
    oq_json_string(json, "unmeasured", layer->unmeasured);
    oq_json_strings(json, "exclude", site->weights.list, site->weights.count);
    oq_json_close(json);
}

void oq_layers_write_json(const struct oq_layers *layers, struct oq_json *json)
{
    oq_json_uint(json, "layers_common_values", layers->sites.n_common);
    oq_json_string(json, "layers_no_effects", layers->no_effects);
    oq_json_open_array(json, "layers");
    for (size_t i = 0; i < layers->count; i++)
        write_layer(json, &layers->list[i]);
    oq_json_close(json);
}
