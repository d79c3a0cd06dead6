/* Globs and regular expressions by the C library of POSIX. */
#define _POSIX_C_SOURCE 200809L
#include "quantize/decide/pattern.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdlib.h>

struct oq_regex {
    regex_t compiled;
};

bool oq_glob_matches(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

struct oq_regex *oq_regex_create(const char *pattern, onnxq_error *error)
{
    char reason[128];
    struct oq_regex *regex = malloc(sizeof(*regex));
    if (regex == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    int code = regcomp(&regex->compiled, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return regex;
    regerror(code, &regex->compiled, reason, sizeof(reason));
    oq_fail(error, ONNXQ_ERROR_OPTION, "regular expression \"%s\": %s", pattern, reason);
    free(regex);
    return NULL;
}

void oq_regex_destroy(struct oq_regex *regex)
{
    if (regex != NULL)
        regfree(&regex->compiled);
    free(regex);
}

bool oq_regex_matches(const struct oq_regex *regex, const char *name)
{
    return regexec(&regex->compiled, name, 0, NULL, 0) == 0;
}
