/* What the commands that run models share: the engine, and what goes into the models. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include "engine/session.h"
#include "cli/parse/name_list.h"
#include "cli/parse/option.h"
#include "inputs/feed.h"

typedef struct cli_run {
    const char *ort_lib;
    cli_list inputs, dims, ranges; /* as they were written */
    uint64_t n_inputs, seed;
    uint64_t n_default; /* n_inputs where it was not said */
    enum oq_picture_layout layout;
    cli_list mean, std;
    const char *size; /* as it was written */
    enum oq_opt_level opt_level;
    cli_list providers; /* by preference */
    struct oq_dim_setting *dim_settings;
    struct oq_range_setting *range_settings;
} cli_run;

/* The settings of such a command begin with these two. */
typedef struct cli_run_settings {
    cli_common common;
    cli_run run;
} cli_run_settings;

#define CLI_IS_RUN(settings)                                                                       \
    _Static_assert(offsetof(settings, run) == offsetof(cli_run_settings, run),                     \
                   "begins as cli_run_settings does")

extern const cli_choice cli_picture_layouts[];

/* Rows of tables of options; OPTION(kind, letter, name, member of cli_run, ...) is one. */
#define CLI_INPUT_ROWS(OPTION)                                                                     \
    OPTION(APPEND, 'i', "inputs", inputs, .value = "PATH", .source = CLI_FILES,                    \
           .help = ".npz, .npy, .pb, pictures, or a folder of them; repeatable"),                  \
        OPTION(CHOICE, 0, "image-layout", layout, .choices = cli_picture_layouts,                  \
               .help = "where a picture's channels go: first or last"),                            \
        OPTION(TEXT, 0, "size", size, .value = "WxH",                                              \
               .help = "size of pictures, if the model leaves it open"),                           \
        OPTION(LIST, 0, "mean", mean, .value = "X[,X,X]",                                          \
               .help = "mean of pixels: the model gets (pixel - mean) / std"),                     \
        OPTION(LIST, 0, "std", std, .value = "X[,X,X]",                                            \
               .help = "their deviation; below 1: pixels count 0 to 1, not 0 to 255")
#define CLI_DIM_ROW(OPTION)                                                                        \
    OPTION(LIST, 0, "dim", dims, .value = "NAME=N",                                                \
           .help = "size of an open dimension: batch=4, or images:0=4")
#define CLI_ENGINE_ROW(OPTION)                                                                     \
    OPTION(TEXT, 0, "ort-lib", ort_lib, .value = "PATH", .source = CLI_FILES,                      \
           .help = "libonnxruntime.so or its folder; otherwise searched for")

extern const cli_option cli_run_options[];
void cli_run_defaults(cli_run *run);
void cli_run_default_inputs(cli_run *run, uint64_t n); /* how many random ones */

/* Of MODEL [OUT], where `output` is what -o named: the exit code, after a message. */
int cli_run_check_operands(const cli_common *common, const char *hint, const char *output,
                           int n_operands, char **operands);

/* Says, where no inputs were given, what is not to be expected of random ones. */
void cli_run_warn_of_drawn(const cli_common *common, const cli_run *run, const char *what);

/* The exit code, after a message, where something was said of inputs and nothing is run. */
int cli_run_check_unused(const cli_common *common, const cli_run *run, const char *why);

/* Reads the lists; everything borrows from `run`. Returns the exit code, after a message. */
int cli_run_fill(const cli_common *common, cli_run *run, struct oq_feed_options *options);

/* What the engine is told; borrows from `run`. */
void cli_run_fill_session(const cli_common *common, const cli_run *run,
                          struct oq_session_options *options);
void cli_run_release(cli_run *run);

#endif
