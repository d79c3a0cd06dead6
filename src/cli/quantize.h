/* `onnxq quantize`: what the command line said, and what is done with one model. */
#ifndef CLI_QUANTIZE_H
#define CLI_QUANTIZE_H

#include <stdio.h>

#include <onnxq/onnxq.h>

#include "list.h"
#include "option.h"
#include "report_file.h"

typedef struct cli_quantize_settings {
    cli_common common;     /* first */
    onnxq_options options; /* lists are filled in from those below */
    const char *output, *output_dir;
    bool dry_run, force, no_clobber;
    cli_list op_types, exclude_op_types;
    cli_list include_globs, exclude_globs, include_regexes, exclude_regexes;
    cli_list include_names, exclude_names; /* as they are, nothing in them is a wildcard */
    onnxq_selector *selectors;
} cli_quantize_settings;

typedef struct cli_quantize_item {
    const char *input;
    char *output;
    bool derived; /* the output's name was made from the input's */
} cli_quantize_item;

typedef struct cli_quantize_job {
    cli_quantize_settings *settings;
    cli_quantize_item *items;
    size_t n_items;
    FILE *text;           /* where people read results; NULL: nowhere */
    cli_report_file json; /* stream NULL: no report */
    bool json_is_array;
    bool folder_created; /* settings->output_dir */
    double item_began;   /* seconds, of the item at hand */
    /* of the items that are done */
    size_t n_reports, n_done;
    uint64_t nbytes_before, nbytes_after;
} cli_quantize_job;

/* Completes settings->options from the lists; false where memory ran out. */
bool cli_quantize_fill_options(cli_quantize_settings *settings);

/* Both return the exit code, after a message where it is not 0. */
int cli_quantize_run(cli_quantize_settings *settings, int n_operands, char **operands);
int cli_quantize_item_run(cli_quantize_job *job, const cli_quantize_item *item);

/* "90.8 MB -> 23.3 MB (3.9x smaller)" */
void cli_print_sizes(FILE *stream, uint64_t before, uint64_t after);

#endif
