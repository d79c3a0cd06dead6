/*
 * What has no order in which it could be computed: nodes that need what comes of them, local
 * functions that call themselves. No engine loads such a model. (Nodes in another order than that
 * of their values are no cycle: engines sort them.)
 */
#ifndef OQ_MODEL_CYCLES_H
#define OQ_MODEL_CYCLES_H

#include "model/model.h"

/* False with an error that names a node, or a function, on a cycle, and on failure. */
bool oq_refuse_cycles(const onnxq_model *model, onnxq_error *error);

/* In *function one that calls itself, through others too, or NULL; false: memory is out. */
bool oq_find_recursion(const onnxq_model *model, struct oq_arena *arena,
                       const Oq__Pb__FunctionProto **function, onnxq_error *error);

/* What tells local functions apart: "domain:name:overload"; NULL: memory is out. */
const char *oq_function_key(struct oq_arena *arena, const char *domain, const char *name,
                            const char *overload);

#endif
