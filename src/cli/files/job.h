/*
 * Commands that make one model of another: which files they read and write,
 * for one model or many, and what they say about it. What they make of a model
 * is the command's own: a cli_maker.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <stdio.h>

#include <onnxq/onnxq.h>

#include "cli/files/page_files.h"
#include "cli/files/tree.h"
#include "cli/parse/name_list.h"
#include "cli/parse/option.h"

/* What the command line says about files. */
typedef struct cli_files {
    char *model; /* in place of the first operand; NULL: not given */
    const char *output, *output_dir;
    const char *suffix; /* of derived names, before .onnx; NULL: the command's own */
    bool dry_run, force, no_clobber, sync, allow_noop;
    onnxq_external_data external_data;
} cli_files;

/* The settings of such a command begin with these two. */
typedef struct cli_job_settings {
    cli_common common;
    cli_files files;
} cli_job_settings;

#define CLI_IS_JOB(settings)                                                                       \
    _Static_assert(offsetof(settings, files) == offsetof(cli_job_settings, files),                 \
                   "begins as cli_job_settings does")

extern const cli_option cli_job_options[]; /* what they share */
void cli_job_defaults(cli_files *files);

/* What is made of a model: one of the two. */
typedef struct cli_work {
    onnxq_plan *plan;
    onnxq_dequantization *dequantization;
} cli_work;

/* `settings` are the command's. */
typedef struct cli_maker {
    const char *verb; /* as in "nothing to quantize" */
    const char *(*suffix)(const void *settings);
    const char *const *replaced_suffixes; /* endings that the suffix takes the place of, or NULL */
    cli_work (*create)(const void *settings, const onnxq_model *model,
                       const onnxq_output_options *output, onnxq_error *error);
    /* NULL: never. What does is not begun where its output could not be written. */
    bool (*takes_long)(const void *settings);
    /* For people; the level is that of -v less that of -q. */
    void (*print)(const void *settings, const onnxq_model *model, const cli_work *work, int level,
                  FILE *stream);
    /* Such as "nothing to quantize: it has no constants". */
    void (*explain_nothing)(const cli_work *work, char *text, size_t capacity);
} cli_maker;

/* One of several things that are made of every model. */
typedef struct cli_variant {
    const char *suffix;   /* of its names: "_q4" */
    const void *settings; /* the command's, for this one */
} cli_variant;

typedef struct cli_variants {
    const cli_variant *list; /* NULL: one thing is made of a model */
    size_t count;
    const char *const *old_suffixes; /* of names of earlier outputs; ends with NULL */
    const char
        *report_name; /* of the file that says how they were made: that of others stays out */
    void (*report)(const void *settings, FILE *stream); /* NULL: none is written */
} cli_variants;

typedef struct cli_item {
    const char *input;
    const cli_variant *variant; /* or NULL */
    bool is_written;
    char *output;
    bool derived;        /* the output's name was made from the input's */
    cli_tree_file *file; /* the same in the folder that is mirrored, or NULL */
} cli_item;

typedef struct cli_job {
    const cli_maker *maker;
    const void *settings;
    const cli_common *common;
    const cli_files *files;
    cli_list reads; /* files that are read besides the models; the job releases it */
    cli_variants variants;
    /* from here on the job's own */
    cli_item *items;
    size_t n_items;
    FILE *text; /* where people read results; NULL: nowhere */
    cli_reports json;
    cli_pages pages;
    const char *folder; /* that is mirrored, or NULL */
    bool in_place;      /* it is its own mirror: outputs lie beside their models */
    cli_tree tree;      /* what is in it */
    cli_list made;      /* folders, for outputs */
    double item_began;  /* seconds, of the item at hand */
    /* of the items that are done */
    size_t n_done, n_copies;
    size_t n_old; /* models of the folder that have the names of outputs */
    uint64_t nbytes_before, nbytes_after;
} cli_job;

/* Both return the exit code, after a message where it is not 0. */
int cli_job_run(cli_job *job, int n_operands, char **operands);
int cli_item_run(cli_job *job, cli_item *item);

/*
 * What goes where, from the operands; `files` are those of the command line and change. *unread:
 * an exit code, where some of a folder cannot be read and the rest can be worked on.
 */
int cli_job_find_items(cli_job *job, cli_files *files, int n_operands, char **operands,
                       int *unread);

/* How what is only copied is written. */
cli_tree_copy cli_job_copy(cli_job *job);

/* "90.8 MB -> 23.3 MB (3.9x smaller)" */
void cli_print_sizes(FILE *stream, uint64_t before, uint64_t after);

/* "(opset 17, pytorch 2.9)" and a line break: what a model says of itself. */
void cli_print_origin(FILE *stream, const onnxq_model *model);

#endif
