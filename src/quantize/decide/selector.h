/* Which sites the user wants: operator types, and patterns on node and weight names. */
#ifndef OQ_QUANTIZE_DECIDE_SELECTOR_H
#define OQ_QUANTIZE_DECIDE_SELECTOR_H

#include "base/arena.h"
#include "model/model.h"

struct oq_selection;

/*
 * Compiles the selectors and operator types of options and checks them against
 * the model and those that it is derived from: a pattern that does not compile, or anything that
 * matches nothing (unless options->allow_unmatched), is an error. NULL on failure.
 */
struct oq_selection *oq_selection_create(const onnxq_options *options, const onnxq_model *model,
                                         onnxq_error *error);
void oq_selection_destroy(struct oq_selection *selection); /* NULL is fine */

/* What a site goes by. */
struct oq_selected {
    const char *op_type, *node, *weight;
    const char *function, *call; /* in which it is written out, or NULL */
};

/* Why the user does not want this site, or NULL where it is wanted. */
const char *oq_selection_refuses(const struct oq_selection *selection,
                                 const struct oq_selected *site);

#endif
