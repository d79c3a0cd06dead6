/* Options of commands that run models, and what they become. */
#define _POSIX_C_SOURCE 200809L
#include "cli/commands/run_options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/files/file_paths.h"
#include "cli/terminal/messages.h"

/* The parser writes enums as int. */
_Static_assert(sizeof(enum oq_opt_level) == sizeof(int), "enum as wide as int");

static const cli_choice opt_levels[] = {OQ_OPT_LEVEL_VALUES(CLI_CHOICE_OF){0}};

_Static_assert(sizeof(enum oq_picture_layout) == sizeof(int), "enum as wide as int");

const cli_choice cli_picture_layouts[] = {{"auto", OQ_LAYOUT_AUTO, false},
                                          {"nchw", OQ_LAYOUT_NCHW, false},
                                          {"nhwc", OQ_LAYOUT_NHWC, false},
                                          {0}};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(cli_run_settings, run.member), __VA_ARGS__)

const cli_option cli_run_options[] = {
    {.kind = CLI_HEADING, .help = "Inputs"},
    CLI_INPUT_ROWS(OPTION),
    OPTION(NUMBER, 0, "random", n_inputs, .value = "N", .maximum = 1000000,
           .help = "number of random inputs, without --inputs"),
    OPTION(NUMBER, 0, "seed", seed, .value = "N", .maximum = UINT64_MAX,
           .help = "seed of random inputs"),
    CLI_DIM_ROW(OPTION),
    OPTION(LIST, 0, "range", ranges, .value = "NAME=LO:HI",
           .help = "lowest and highest value of a random input"),
    {.kind = CLI_HEADING, .help = "Engine"},
    CLI_ENGINE_ROW(OPTION),
    OPTION(LIST, 0, "ep", providers, .value = "NAME,...",
           .help = "execution providers in order of preference: cuda,cpu"),
    OPTION(CHOICE, 0, "opt-level", opt_level, .choices = opt_levels,
           .help = "how far the engine optimizes models"),
    {0}};

#undef OPTION

void cli_run_default_inputs(cli_run *run, uint64_t n)
{
    run->n_inputs = run->n_default = n;
}

void cli_run_defaults(cli_run *run)
{
    cli_run_default_inputs(run, 1);
    run->opt_level = OQ_OPT_ALL;
}

/* Cuts "name=value" in two; the value, or NULL. A name may hold '=' itself. */
static char *split(char *text)
{
    char *equals = strrchr(text, '=');
    if (equals == NULL || equals == text)
        return NULL;
    *equals = '\0';
    return equals + 1;
}

static bool read_size(const char *text, int64_t *size)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *size = value;
    return end != text && *end == '\0' && errno == 0 && value >= 0;
}

static bool read_range(const char *text, double *lo, double *hi)
{
    char *end;
    *lo = strtod(text, &end);
    if (end == text || *end != ':')
        return false;
    text = end + 1;
    *hi = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*lo) && isfinite(*hi) && *lo <= *hi;
}

static int fill_dims(const cli_common *common, cli_run *run)
{
    for (size_t i = 0; i < run->dims.count; i++) {
        char *name = run->dims.items[i], *value = split(name);
        run->dim_settings[i].name = name;
        if (value == NULL || !read_size(value, &run->dim_settings[i].size))
            return cli_usage(common, "as in --dim batch=4", "--dim: '%s%s%s' is not NAME=N", name,
                             value != NULL ? "=" : "", value != NULL ? value : "");
    }
    return CLI_EXIT_OK;
}

static int fill_ranges(const cli_common *common, cli_run *run)
{
    for (size_t i = 0; i < run->ranges.count; i++) {
        char *name = run->ranges.items[i], *value = split(name);
        struct oq_range_setting *setting = &run->range_settings[i];
        setting->name = name;
        if (value == NULL || !read_range(value, &setting->lo, &setting->hi))
            return cli_usage(common, "as in --range input_ids=0:30521",
                             "--range: '%s%s%s' is not NAME=LO:HI", name, value != NULL ? "=" : "",
                             value != NULL ? value : "");
    }
    return CLI_EXIT_OK;
}

/* One number, or one for each of three channels. */
static int fill_channels(const cli_common *common, const char *option, const cli_list *list,
                         double values[3], size_t *n)
{
    *n = list->count;
    if (*n != 0 && *n != 1 && *n != 3)
        return cli_usage(common, "as in --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
                         "%s: expected one number or three, not %zu", option, *n);
    for (size_t i = 0; i < *n; i++) {
        char *end;
        values[i] = strtod(list->items[i], &end);
        if (end == list->items[i] || *end != '\0' || !isfinite(values[i]))
            return cli_usage(common, NULL, "%s: '%s' is not a number", option, list->items[i]);
    }
    return CLI_EXIT_OK;
}

static bool read_length(const char **text, uint64_t *length)
{
    char *end;
    if (**text < '1' || **text > '9')
        return false;
    errno = 0;
    *length = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0 && *length <= INT32_MAX;
}

/* "224", or "640x480": the width first. */
static bool read_picture_size(const char *text, struct oq_picture_settings *settings)
{
    if (!read_length(&text, &settings->width))
        return false;
    settings->height = settings->width;
    if (*text == 'x') {
        text++;
        if (!read_length(&text, &settings->height))
            return false;
    }
    return *text == '\0';
}

static int fill_pictures(const cli_common *common, const cli_run *run,
                         struct oq_picture_settings *settings)
{
    *settings = (struct oq_picture_settings){.layout = run->layout};
    settings->given = run->layout != OQ_LAYOUT_AUTO || run->mean.count > 0 || run->std.count > 0 ||
                      run->size != NULL;
    if (settings->given && run->inputs.count == 0)
        return cli_usage(common, NULL,
                         "--image-layout, --mean, --std and --size are for pictures: --inputs");
    if (run->size != NULL && !read_picture_size(run->size, settings))
        return cli_usage(common, "as in --size 224 or --size 640x480",
                         "--size: '%s' is not WIDTHxHEIGHT", run->size);
    int status = fill_channels(common, "--mean", &run->mean, settings->mean, &settings->n_mean);
    if (status == CLI_EXIT_OK)
        status = fill_channels(common, "--std", &run->std, settings->std, &settings->n_std);
    for (size_t i = 0; i < settings->n_std && status == CLI_EXIT_OK; i++)
        if (settings->std[i] <= 0)
            status = cli_usage(common, NULL, "--std: '%s' is not above 0", run->std.items[i]);
    return status;
}

int cli_run_check_operands(const cli_common *common, const char *hint, const char *output,
                           int n_operands, char **operands)
{
    if (n_operands == 0)
        return cli_usage(common, hint, "no MODEL is given");
    if (n_operands > 2 || (n_operands == 2 && output != NULL))
        return cli_usage(common, hint,
                         n_operands > 2 ? "more files than MODEL and OUT"
                                        : "-o and OUT cannot be combined");
    if (cli_is_standard_input(operands[0]))
        return cli_usage(common, NULL, "a model on standard input cannot be run, name its file");
    return CLI_EXIT_OK;
}

void cli_run_warn_of_drawn(const cli_common *common, const cli_run *run, const char *what)
{
    if (run->inputs.count > 0 || common->quiet > 0)
        return;
    cli_error(common, "warning: random inputs; %s", what);
    cli_hint(common, "-i gives inputs as the model will see them");
}

/* One that was given and has an effect on random inputs only, or NULL. */
static const char *drawing_option(const cli_run *run)
{
    return run->ranges.count > 0             ? "--range"
           : run->seed != 0                  ? "--seed"
           : run->n_inputs != run->n_default ? "--random"
                                             : NULL;
}

int cli_run_check_unused(const cli_common *common, const cli_run *run, const char *why)
{
    const char *option = run->dims.count > 0 ? "--dim" : drawing_option(run);
    return option == NULL ? CLI_EXIT_OK
                          : cli_usage(common, NULL, "%s has no effect: %s", option, why);
}

int cli_run_fill(const cli_common *common, cli_run *run, struct oq_feed_options *options)
{
    run->dim_settings = calloc(run->dims.count + 1, sizeof(*run->dim_settings));
    run->range_settings = calloc(run->ranges.count + 1, sizeof(*run->range_settings));
    if (run->dim_settings == NULL || run->range_settings == NULL)
        return cli_memory_error(common);
    const char *drawn = drawing_option(run);
    if (run->inputs.count > 0 && drawn != NULL)
        return cli_usage(common, NULL, "%s is for random inputs, --inputs gives others", drawn);
    if (run->inputs.count == 0 && run->n_inputs == 0)
        return cli_usage(common, NULL, "--random: at least 1 without --inputs");
    int status = fill_dims(common, run);
    if (status == CLI_EXIT_OK)
        status = fill_ranges(common, run);
    *options = (struct oq_feed_options){.paths = (const char *const *)run->inputs.items,
                                        .n_paths = run->inputs.count,
                                        .n_random = run->n_inputs,
                                        .draw = {.dims = run->dim_settings,
                                                 .n_dims = run->dims.count,
                                                 .ranges = run->range_settings,
                                                 .n_ranges = run->ranges.count,
                                                 .seed = run->seed}};
    return status == CLI_EXIT_OK ? fill_pictures(common, run, &options->pictures) : status;
}

void cli_run_fill_session(const cli_common *common, const cli_run *run,
                          struct oq_session_options *options)
{
    *options = (struct oq_session_options){.threads = (unsigned)common->threads,
                                           .opt_level = run->opt_level,
                                           .providers = (const char *const *)run->providers.items,
                                           .n_providers = run->providers.count};
}

void cli_run_release(cli_run *run)
{
    cli_list_free(&run->providers);
    cli_list_free(&run->inputs);
    cli_list_free(&run->dims);
    cli_list_free(&run->ranges);
    cli_list_free(&run->mean);
    cli_list_free(&run->std);
    free(run->dim_settings);
    free(run->range_settings);
}
