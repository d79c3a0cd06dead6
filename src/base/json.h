/*
 * A JSON writer that streams: nothing is kept but the nesting. The text is
 * valid UTF-8 whatever the strings hold, and numbers do not depend on the locale.
 * One thread per writer.
 */
#ifndef OQ_BASE_JSON_H
#define OQ_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OQ_JSON_MAX_DEPTH 64

struct oq_json {
    FILE *stream;
    unsigned depth;
    uint64_t has_items; /* bit d: the container at depth d holds something */
    uint64_t is_array;  /* bit d: it is an array */
    uint64_t is_row;    /* bit d: its items stand on one line */
    bool misused;       /* nested too deep, or more closed than opened */
};

/* The stream is borrowed. */
void oq_json_init(struct oq_json *json, FILE *stream);

/* The same, and an object that begins as all reports do: with their version and that of onnxq. */
void oq_json_open_report(struct oq_json *json, FILE *stream);

/*
 * Values. `key` is the member's name inside an object, and NULL inside an array
 * and at the top. Invalid bytes in strings become U+FFFD.
 */
void oq_json_open_object(struct oq_json *json, const char *key);
void oq_json_open_array(struct oq_json *json, const char *key);
void oq_json_open_row(struct oq_json *json, const char *key); /* an array on one line */
void oq_json_close(struct oq_json *json);                     /* whichever was opened last */
void oq_json_string(struct oq_json *json, const char *key, const char *value); /* NULL: null */
void oq_json_int(struct oq_json *json, const char *key, int64_t value);
void oq_json_uint(struct oq_json *json, const char *key, uint64_t value);
void oq_json_number(struct oq_json *json, const char *key, double value); /* NaN, Inf: null */
void oq_json_float(struct oq_json *json, const char *key, float value);   /* the same, shorter */
void oq_json_bool(struct oq_json *json, const char *key, bool value);
void oq_json_null(struct oq_json *json, const char *key);

/* Arrays on one line. */
void oq_json_ints(struct oq_json *json, const char *key, const int64_t *values, size_t n);
void oq_json_numbers(struct oq_json *json, const char *key, const double *values, size_t n);
void oq_json_strings(struct oq_json *json, const char *key, const char *const *values, size_t n);

/* Ends the text with a newline. True where it is complete and the stream took all of it. */
bool oq_json_finish(struct oq_json *json);

#endif
