/* What a search has found, for people and for programs. */
#ifndef OQ_TUNE_TUNE_REPORT_H
#define OQ_TUNE_TUNE_REPORT_H

#include <stdio.h>

#include "base/json.h"
#include "page/page.h"
#include "tune/tune.h"

struct oq_tune_report {
    const struct oq_tune *tune;
    const struct oq_tune_options *options;
    const char *model, *output; /* output NULL: no model was written */
    const char *engine_version;
};

/* The frontier, and the verdict. level < 0: the verdict alone; > 0: every model and every site. */
void oq_tune_print(const struct oq_tune_report *report, int level, FILE *stream);
void oq_tune_write_json(const struct oq_tune_report *report, FILE *stream);

void oq_tune_write_page(const struct oq_tune_report *report, struct oq_page *page);

/* Error against speed of every model that was timed, and against size of all. */
void oq_tune_write_svg(const struct oq_tune_report *report, FILE *stream);

#endif
