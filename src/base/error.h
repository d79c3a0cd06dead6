/*
 * Filling in an onnxq_error. Every function that can fail returns bool and
 * takes a non-NULL error; the first cause wins, later ones are ignored.
 */
#ifndef OQ_BASE_ERROR_H
#define OQ_BASE_ERROR_H

#include <onnxq/onnxq.h>

#if defined(__GNUC__)
#define OQ_PRINTF(text, args) __attribute__((__format__(__printf__, text, args)))
#else
#define OQ_PRINTF(text, args)
#endif

void oq_error_init(onnxq_error *error);

/* Of a public function, which callers may leave out: initialized, or `ignored` in its place. */
static inline onnxq_error *oq_error_start(onnxq_error *error, onnxq_error *ignored)
{
    error = error != NULL ? error : ignored;
    oq_error_init(error);
    return error;
}

/* Records status and message; always returns false, so that `return oq_fail(...)` reads well. */
bool oq_fail(onnxq_error *error, onnxq_status status, const char *format, ...) OQ_PRINTF(3, 4);

/* The same with the system's own words for `sys_errno` behind the message. */
bool oq_fail_errno(onnxq_error *error, onnxq_status status, int sys_errno, const char *format, ...)
    OQ_PRINTF(4, 5);

bool oq_fail_memory(onnxq_error *error);

/*
 * Add where it happened, as far as a function further down did not know it
 * better. They do nothing where no failure was recorded.
 */
void oq_error_file(onnxq_error *error, const char *path);
void oq_error_place(onnxq_error *error, const char *format, ...) OQ_PRINTF(2, 3);
void oq_error_offset(onnxq_error *error, uint64_t offset);
/* Of a file that is shorter than it says. */
#define OQ_CUT_OFF_HINT "a download that was cut off? compare its size with where it is from"

void oq_error_hint(onnxq_error *error, const char *format, ...) OQ_PRINTF(2, 3);

#endif
