/* The first cause of a failure: status, text, place, hint. */
#define _POSIX_C_SOURCE 200809L
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void oq_error_init(onnxq_error *error)
{
    memset(error, 0, sizeof(*error));
    error->offset = ONNXQ_NO_OFFSET;
}

bool oq_fail(onnxq_error *error, onnxq_status status, const char *format, ...)
{
    if (error->status != ONNXQ_OK)
        return false;
    error->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return false;
}

bool oq_fail_errno(onnxq_error *error, onnxq_status status, int sys_errno, const char *format, ...)
{
    if (error->status != ONNXQ_OK)
        return false;
    error->status = status;
    error->sys_errno = sys_errno;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    char reason[128];
    if (strerror_r(sys_errno, reason, sizeof(reason)) != 0)
        snprintf(reason, sizeof(reason), "error %d", sys_errno);
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof(error->message) - used, ": %s", reason);
    return false;
}

bool oq_fail_memory(onnxq_error *error)
{
    return oq_fail(error, ONNXQ_ERROR_MEMORY, "out of memory");
}

void oq_error_file(onnxq_error *error, const char *path)
{
    if (error->status != ONNXQ_OK && error->file[0] == '\0')
        snprintf(error->file, sizeof(error->file), "%s", path);
}

void oq_error_place(onnxq_error *error, const char *format, ...)
{
    if (error->status == ONNXQ_OK || error->place[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->place, sizeof(error->place), format, args);
    va_end(args);
}

void oq_error_offset(onnxq_error *error, uint64_t offset)
{
    if (error->status != ONNXQ_OK && error->offset == ONNXQ_NO_OFFSET)
        error->offset = offset;
}

void oq_error_hint(onnxq_error *error, const char *format, ...)
{
    if (error->status == ONNXQ_OK || error->hint[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->hint, sizeof(error->hint), format, args);
    va_end(args);
}

size_t onnxq_error_format(const onnxq_error *error, char *dst, size_t capacity)
{
    char text[sizeof(error->file) + sizeof(error->place) + sizeof(error->message) + 64];
    char offset[40] = "";
    if (error->offset != ONNXQ_NO_OFFSET)
        snprintf(offset, sizeof(offset), " (at byte %llu)", (unsigned long long)error->offset);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", error->file, error->file[0] ? ": " : "",
             error->place, error->place[0] ? ": " : "", error->message, offset);
    return onnxq_escape(text, dst, capacity);
}

const char *onnxq_version(void)
{
    return ONNXQ_VERSION_STRING;
}
