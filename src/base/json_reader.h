/*
 * A strict JSON reader that pulls: the caller asks for what it expects, and
 * nothing is kept but the nesting. Numbers go straight to where they belong, so
 * that a file of numbers costs no more memory than they take. Numbers do not
 * depend on the locale. The first failure is recorded with line and column, and
 * every later call fails.
 */
#ifndef OQ_BASE_JSON_READER_H
#define OQ_BASE_JSON_READER_H

#include "base/arena.h"

#define OQ_JSON_READER_MAX_DEPTH 64

struct oq_json_reader {
    const char *text; /* nbytes of it, then a NUL */
    size_t nbytes;
    size_t at;
    unsigned depth;
    uint64_t has_items; /* bit d: something of the container at depth d was read */
    struct oq_arena *arena;
    onnxq_error *error;
    void *data; /* the caller's: what is made of the text */
    bool failed;
};

/* text[nbytes] is NUL. Text, arena (of the strings) and error are borrowed. */
void oq_json_reader_init(struct oq_json_reader *reader, const char *text, size_t nbytes,
                         struct oq_arena *arena, onnxq_error *error);

/* Records a failure at the place that was reached; returns false. */
bool oq_json_refuse(struct oq_json_reader *reader, const char *format, ...) OQ_PRINTF(2, 3);

bool oq_json_enter_object(struct oq_json_reader *reader);
bool oq_json_enter_array(struct oq_json_reader *reader);

/* Before each member: its key, and its value comes next. False behind the last one. */
bool oq_json_next_member(struct oq_json_reader *reader, const char **key);

/* Before each item of an array. False behind the last one. */
bool oq_json_next_item(struct oq_json_reader *reader);

/* An array, of which read() takes each item. */
bool oq_json_read_items(struct oq_json_reader *reader, bool (*read)(struct oq_json_reader *));

bool oq_json_read_string(struct oq_json_reader *reader, const char **value);
bool oq_json_read_uint(struct oq_json_reader *reader, uint64_t *value);
bool oq_json_read_int(struct oq_json_reader *reader, int64_t *value);
bool oq_json_read_number(struct oq_json_reader *reader, double *value); /* finite */
bool oq_json_read_float(struct oq_json_reader *reader, float *value);   /* finite, the nearest */

/* The character that the next value begins with, which tells its kind; NUL at the end. */
char oq_json_peek(struct oq_json_reader *reader);

/* Passes over a value of any kind. */
bool oq_json_skip_value(struct oq_json_reader *reader);

/* True where nothing failed and nothing follows. */
bool oq_json_reader_finish(struct oq_json_reader *reader);

#endif
