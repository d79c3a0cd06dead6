/* What all checks share: problems and their places, and what is known of values. */
#include "validate/checker.h"

#include <stdarg.h>
#include <stdio.h>

void oq_problem(struct oq_checker *checker, const struct oq_problem_place *place, const char *value,
                const char *format, ...)
{
    char message[256];
    if (checker->n_found++ >= ONNXQ_MAX_PROBLEMS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    const Oq__Pb__NodeProto *node = place->node;
    onnxq_problem *problem = &checker->problems[checker->n_found - 1];
    *problem = (onnxq_problem){
        .graph = place->graph == NULL ? "" : place->graph->name,
        .node = node == NULL ? "" : oq_node_label(node),
        .op_type = node == NULL ? "" : oq_text_or_empty(node->op_type),
        .value = value,
        .message = oq_arena_strdup(checker->arena, message),
    };
    if (problem->message == NULL)
        oq_arena_fail(checker->arena, checker->error);
}

void oq_warn(struct oq_checker *checker, const char *format, ...)
{
    char message[256];
    if (checker->n_warnings == ONNXQ_MAX_PROBLEMS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    onnxq_problem *warning = &checker->warnings[checker->n_warnings++];
    *warning = (onnxq_problem){"", "", "", "", oq_arena_strdup(checker->arena, message)};
    if (warning->message == NULL)
        oq_arena_fail(checker->arena, checker->error);
}

struct oq_fact oq_fact_of(const struct oq_checker *checker, const struct oq_graph *graph,
                          const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value == NULL ? (struct oq_fact){0} : checker->facts[value->ordinal];
}

const char *oq_type_name(int32_t data_type)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    return dtype == NULL ? "an unknown type" : dtype->name;
}
