/*
 * Files of one JSON object that onnxq itself writes: ranges, plans. The first member is a mark
 * with the version of the format; of the others, those that are not known are passed over.
 */
#ifndef OQ_BASE_JSON_FILE_H
#define OQ_BASE_JSON_FILE_H

#include "base/json_reader.h"

/* Far above what a model of ten thousand values needs. */
#define OQ_JSON_FILE_MAX_NBYTES ((size_t)256 << 20)

/* Counts are whole numbers that any reader of JSON keeps exact. */
#define OQ_JSON_MAX_COUNT (UINT64_C(1) << 53)

struct oq_json_format {
    const char *mark;
    unsigned version;
    const char *what, *hint; /* "a plan"; where one comes from */
};

struct oq_json_member {
    const char *key;
    bool (*read)(struct oq_json_reader *json, void *into);
    void *into;
    bool optional;
};

/* Members of these kinds. */
bool oq_json_take_text(struct oq_json_reader *json, void *into);
bool oq_json_take_number(struct oq_json_reader *json, void *into);
bool oq_json_take_int(struct oq_json_reader *json, void *into);
bool oq_json_take_count(struct oq_json_reader *json, void *into);

/* An object with these members, in any order, none twice. *seen: bit i, members[i] is there. */
bool oq_json_read_members(struct oq_json_reader *json, const struct oq_json_member *members,
                          size_t n, uint64_t *seen);
bool oq_json_has(uint64_t seen, int member);

/* The same behind the mark. */
bool oq_json_read_marked(struct oq_json_reader *json, const struct oq_json_format *format,
                         const struct oq_json_member *members, size_t n);

/*
 * The whole file, `what` it should be ("a plan"), and a NUL, for oq_json_reader_init(); the caller
 * frees it. Of any JSON, not only these.
 */
char *oq_json_read_file(const char *path, const char *what, size_t *nbytes, onnxq_error *error);

#endif
