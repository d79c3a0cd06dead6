/* The progress bar on standard error, which is also where an interrupt is noticed. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <onnxq/onnxq.h>

#include "cli/terminal/common.h"

typedef struct cli_progress {
    bool enabled, forced;
    onnxq_phase phase;
    double began, last_drawn; /* seconds */
    int width;                /* columns that the line on the screen takes */
} cli_progress;

void cli_progress_init(cli_progress *progress, const cli_common *common);

/* To be called before each call of the library that reports progress. */
void cli_progress_start(cli_progress *progress);

/* An onnxq_progress_fn; data is a cli_progress. */
bool cli_progress_update(void *data, onnxq_phase phase, uint64_t done, uint64_t total);

/* The bar of what is counted, such as runs of a model; `what` says of which. */
void cli_progress_count(cli_progress *progress, const char *what, uint64_t done, uint64_t total);

/* Takes the bar off the screen. */
void cli_progress_erase(cli_progress *progress);

#endif
