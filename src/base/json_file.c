/* What files of one object share: its first member says what they are, the others come in any
 * order. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_file.h"

bool oq_json_take_text(struct oq_json_reader *json, void *into)
{
    return oq_json_read_string(json, into);
}

bool oq_json_take_number(struct oq_json_reader *json, void *into)
{
    return oq_json_read_number(json, into);
}

bool oq_json_take_int(struct oq_json_reader *json, void *into)
{
    return oq_json_read_int(json, into);
}

bool oq_json_take_count(struct oq_json_reader *json, void *into)
{
    uint64_t *count = into;
    if (!oq_json_read_uint(json, count))
        return false;
    return *count <= OQ_JSON_MAX_COUNT || oq_json_refuse(json, "a count above 2^53");
}

bool oq_json_has(uint64_t seen, int member)
{
    return (seen >> member & 1) != 0;
}

static bool read_member(struct oq_json_reader *json, const struct oq_json_member *members, size_t n,
                        const char *key, uint64_t *seen)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(members[i].key, key) != 0)
            continue;
        if (oq_json_has(*seen, (int)i))
            return oq_json_refuse(json, "\"%s\" is given twice", key);
        *seen |= UINT64_C(1) << i;
        return members[i].read(json, members[i].into);
    }
    return oq_json_skip_value(json);
}

static bool read_rest(struct oq_json_reader *json, const struct oq_json_member *members, size_t n,
                      uint64_t *seen)
{
    const char *key;
    *seen = 0;
    while (oq_json_next_member(json, &key))
        if (!read_member(json, members, n, key, seen))
            return false;
    for (size_t i = 0; i < n && !json->failed; i++)
        if (!oq_json_has(*seen, (int)i) && !members[i].optional)
            return oq_json_refuse(json, "\"%s\" is missing", members[i].key);
    return !json->failed;
}

bool oq_json_read_members(struct oq_json_reader *json, const struct oq_json_member *members,
                          size_t n, uint64_t *seen)
{
    *seen = 0;
    return oq_json_enter_object(json) && read_rest(json, members, n, seen);
}

/* The mark has to be first: of a file of another kind nothing else is said. */
static bool read_mark(struct oq_json_reader *json, const struct oq_json_format *format)
{
    const char *key = "";
    uint64_t version = 0;
    if (!oq_json_enter_object(json) || !oq_json_next_member(json, &key) ||
        strcmp(key, format->mark) != 0 || !oq_json_read_uint(json, &version)) {
        if (json->error->status == ONNXQ_ERROR_MEMORY)
            return false;
        oq_error_init(json->error);
        oq_fail(json->error, ONNXQ_ERROR_INPUT, "not %s: it does not begin with {\"%s\": %u",
                format->what, format->mark, format->version);
        oq_error_hint(json->error, "%s", format->hint);
        return false;
    }
    return version == format->version ||
           oq_json_refuse(json, "format version %" PRIu64 "; this onnxq reads version %u", version,
                          format->version);
}

bool oq_json_read_marked(struct oq_json_reader *json, const struct oq_json_format *format,
                         const struct oq_json_member *members, size_t n)
{
    uint64_t seen;
    return read_mark(json, format) && read_rest(json, members, n, &seen);
}

char *oq_json_read_file(const char *path, const char *what, size_t *nbytes, onnxq_error *error)
{
    struct oq_file file;
    char *text = NULL;
    if (!oq_file_open(&file, path, error))
        return NULL;
    *nbytes = (size_t)file.nbytes;
    if (file.nbytes > OQ_JSON_FILE_MAX_NBYTES)
        oq_fail(error, ONNXQ_ERROR_INPUT, "%" PRIu64 " bytes, expected %s", file.nbytes, what);
    else if ((text = calloc(*nbytes + 1, 1)) == NULL)
        oq_fail_memory(error);
    if (text != NULL && !oq_file_read(&file, 0, text, *nbytes, error)) {
        free(text);
        text = NULL;
    }
    oq_file_close(&file);
    return text;
}
