/* Rewrites options.FIELD and options.FIELD=VALUE: true and false are --field and --no-field. */
#include "base/flags.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char prefix[] = "options.", output[] = "output.";

static size_t word_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* Writes the flag for a field that stands at `field`, and returns what follows it. */
static const char *write_flag(const char *field, char *dst, size_t capacity, size_t *used)
{
    if (strncmp(field, output, strlen(output)) == 0)
        field += strlen(output);
    size_t n_field = word_length(field);
    const char *value = field[n_field] == '=' ? field + n_field + 1 : "";
    size_t n_value = word_length(value);
    bool is_true = n_value == 4 && strncmp(value, "true", 4) == 0;
    bool is_false = n_value == 5 && strncmp(value, "false", 5) == 0;
    int n = snprintf(dst, capacity, "--%s%.*s%s%.*s", is_false ? "no-" : "", (int)n_field, field,
                     n_value == 0 || is_true || is_false ? "" : " ",
                     is_true || is_false ? 0 : (int)n_value, value);
    *used = (size_t)n < capacity ? (size_t)n : capacity - 1;
    for (size_t i = 2; i < 2 + n_field + (is_false ? 3 : 0) && i < *used; i++)
        dst[i] = dst[i] == '_' ? '-' : dst[i];
    return n_value > 0 ? value + n_value : field + n_field;
}

struct oq_flags_text oq_flags_text(const char *text)
{
    struct oq_flags_text flags;
    size_t at = 0, capacity = sizeof(flags.text);
    bool is_quoted = false;
    while (*text != '\0' && at + 1 < capacity) {
        is_quoted ^= *text == '"';
        if (!is_quoted && strncmp(text, prefix, strlen(prefix)) == 0 &&
            word_length(text + strlen(prefix)) > 0) {
            size_t used;
            text = write_flag(text + strlen(prefix), flags.text + at, capacity - at, &used);
            at += used;
        } else {
            flags.text[at++] = *text++;
        }
    }
    flags.text[at] = '\0';
    return flags;
}
