/* Options of commands that run models, and what they become. */
#define _POSIX_C_SOURCE 200809L
#include "cli/commands/run_options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal/messages.h"

/* The parser writes enums as int. */
_Static_assert(sizeof(enum oq_opt_level) == sizeof(int), "enum as wide as int");

static const cli_choice opt_levels[] = {{"disable", OQ_OPT_DISABLE, false},
                                        {"basic", OQ_OPT_BASIC, false},
                                        {"extended", OQ_OPT_EXTENDED, false},
                                        {"all", OQ_OPT_ALL, false},
                                        {0}};

#define FIELD(member) .offset = offsetof(cli_run_settings, run.member)

const cli_option cli_run_options[] = {
    {.kind = CLI_HEADING, .help = "What goes in"},
    {.kind = CLI_APPEND,
     .letter = 'i',
     .name = "inputs",
     .value = "PATH",
     .source = CLI_FILES,
     FIELD(inputs),
     .help = ".npz, .npy, .pb, or a folder of them; repeatable"},
    {.kind = CLI_NUMBER,
     .name = "random",
     .value = "N",
     .maximum = 1000000,
     FIELD(n_inputs),
     .help = "without --inputs: how many random inputs"},
    {.kind = CLI_NUMBER,
     .name = "seed",
     .value = "N",
     .maximum = UINT64_MAX,
     FIELD(seed),
     .help = "of the random inputs"},
    {.kind = CLI_LIST,
     .name = "dim",
     .value = "NAME=N",
     FIELD(dims),
     .help = "size of an open dimension: batch=4, or images:0=4"},
    {.kind = CLI_LIST,
     .name = "range",
     .value = "NAME=LO:HI",
     FIELD(ranges),
     .help = "lowest and highest value of a random input"},
    {.kind = CLI_HEADING, .help = "Engine"},
    {.kind = CLI_TEXT,
     .name = "ort-lib",
     .value = "PATH",
     .source = CLI_FILES,
     FIELD(ort_lib),
     .help = "libonnxruntime.so, or a folder that has it; else it is looked for"},
    {.kind = CLI_LIST,
     .name = "ep",
     .value = "NAME,...",
     FIELD(providers),
     .help = "execution providers by preference, such as cuda,cpu"},
    {.kind = CLI_CHOICE,
     .name = "opt-level",
     .choices = opt_levels,
     FIELD(opt_level),
     .help = "what it optimizes in models"},
    {0}};

#undef FIELD

void cli_run_defaults(cli_run *run)
{
    run->n_inputs = 1;
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
            return cli_usage(common, "as in --dim batch=4", "--dim: '%s%s%s' is no NAME=N", name,
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
                             "--range: '%s%s%s' is no NAME=LO:HI", name, value != NULL ? "=" : "",
                             value != NULL ? value : "");
    }
    return CLI_EXIT_OK;
}

int cli_run_fill(const cli_common *common, cli_run *run, struct oq_feed_options *options)
{
    run->dim_settings = calloc(run->dims.count + 1, sizeof(*run->dim_settings));
    run->range_settings = calloc(run->ranges.count + 1, sizeof(*run->range_settings));
    if (run->dim_settings == NULL || run->range_settings == NULL)
        return cli_memory_error(common);
    int status = fill_dims(common, run);
    if (status == CLI_EXIT_OK)
        status = fill_ranges(common, run);
    if (run->inputs.count > 0 && run->ranges.count > 0)
        return cli_usage(common, NULL, "--range is for random inputs, --inputs gives others");
    *options = (struct oq_feed_options){.paths = (const char *const *)run->inputs.items,
                                        .n_paths = run->inputs.count,
                                        .n_random = run->n_inputs,
                                        .draw = {.dims = run->dim_settings,
                                                 .n_dims = run->dims.count,
                                                 .ranges = run->range_settings,
                                                 .n_ranges = run->ranges.count,
                                                 .seed = run->seed}};
    return status;
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
    free(run->dim_settings);
    free(run->range_settings);
}
