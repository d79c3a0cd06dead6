/*
 * Names of dimensions that are formulas of others: "past_sequence_length + 1",
 * "2*N", "floor(s0/2)", as torch and optimum write them.
 */
#ifndef OQ_INPUTS_EXPRESSION_H
#define OQ_INPUTS_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives the value of the name text[0 .. length); false ends the evaluation. */
typedef bool (*oq_name_fn)(void *context, const char *text, size_t length, int64_t *value);

/*
 * The value of a formula: names, whole numbers, + - * / // ( ), floor(), max()
 * and min(); division rounds down. False for what is none, also for a
 * name or a number alone, and where a result overflows.
 */
bool oq_expression_evaluate(const char *text, oq_name_fn fn, void *context, int64_t *value);

#endif
