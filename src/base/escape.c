/* Text from files, made safe for terminals. */
#include <onnxq/onnxq.h>

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Appends as much as fits, keeps room for the NUL, and counts what the whole needs. */
struct sink {
    char *dst;
    size_t capacity;
    size_t length;
};

static void put(struct sink *sink, const char *bytes, size_t n)
{
    /* A piece that does not fit whole is left out whole: no half of an escape at the end. */
    if (sink->length + n < sink->capacity) {
        memcpy(sink->dst + sink->length, bytes, n);
        sink->dst[sink->length + n] = '\0';
    }
    sink->length += n;
}

static void put_escaped(struct sink *sink, unsigned char byte)
{
    static const char names[][3] = {['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    char hex[5];
    if (byte < sizeof(names) / sizeof(names[0]) && names[byte][0] != '\0') {
        put(sink, names[byte], 2);
        return;
    }
    snprintf(hex, sizeof(hex), "\\x%02x", byte);
    put(sink, hex, 4);
}

size_t onnxq_escape(const char *src, char *dst, size_t capacity)
{
    struct sink sink = {dst, capacity, 0};
    if (capacity > 0)
        dst[0] = '\0';
    size_t left = strlen(src);
    while (left > 0) {
        uint32_t code_point;
        size_t n = oq_utf8_decode(src, left, &code_point);
        if (n == 1 && *src == '\\') {
            put(&sink, "\\\\", 2);
        } else if (n > 0 && !oq_is_unsafe_to_show(code_point)) {
            put(&sink, src, n);
        } else {
            n = n > 0 ? n : 1;
            for (size_t i = 0; i < n; i++)
                put_escaped(&sink, (unsigned char)src[i]);
        }
        src += n;
        left -= n;
    }
    return sink.length;
}
