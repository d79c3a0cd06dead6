/* Which sites the user wants: operator types, and patterns on node and weight names. */
#ifndef OQ_QUANTIZE_DECIDE_SELECTOR_H
#define OQ_QUANTIZE_DECIDE_SELECTOR_H

#include "base/arena.h"
#include "model/model.h"

struct oq_selection;

/*
 * Compiles the selectors and operator types of options and checks them against
 * the model: a pattern that does not compile, or anything that matches nothing
 * (unless options->allow_unmatched), is an error. NULL on failure.
 */
struct oq_selection *oq_selection_create(const onnxq_options *options, const onnxq_model *model,
                                         onnxq_error *error);
void oq_selection_destroy(struct oq_selection *selection); /* NULL is fine */

/* Why the user does not want this site, or NULL where it is wanted. */
const char *oq_selection_refuses(const struct oq_selection *selection, const char *op_type,
                                 const char *node, const char *weight);

#endif
