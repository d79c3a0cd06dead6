/* Matching of names: pattern_posix.c. */
#ifndef OQ_QUANTIZE_DECIDE_PATTERN_H
#define OQ_QUANTIZE_DECIDE_PATTERN_H

#include "base/error.h"

/* The whole name, by `*`, `?` and `[...]`; a backslash is one. */
bool oq_glob_matches(const char *pattern, const char *name);

/* POSIX extended: any part of the name. */
struct oq_regex;
struct oq_regex *oq_regex_create(const char *pattern, onnxq_error *error); /* NULL on failure */
void oq_regex_destroy(struct oq_regex *regex);                             /* NULL is fine */
bool oq_regex_matches(const struct oq_regex *regex, const char *name);

#endif
