/* The file of measurements, written and read. Nothing in it is believed. */
#include "tune/tune_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/json.h"
#include "base/json_file.h"
#include "base/os.h"
#include "base/output.h"

struct oq_tune_measured {
    const char *what, *of, *form;
    double value;
};

static const struct oq_json_format format = {"onnxq_measured", 1, "a file of measurements",
                                             "onnxq tune --resume makes one"};

static const char *const names[] = {[OQ_MEASURED_ERROR] = "error", [OQ_MEASURED_TIME] = "time"};

uint64_t oq_tune_hash(uint64_t hash, const void *bytes, size_t nbytes)
{
    return oq_fnv1a(hash ^ OQ_FNV_BASIS, bytes, nbytes); /* so that nothing is no fixed point */
}

/* --- measurements --------------------------------------------------------------------- */

static char *make_key(struct oq_arena *arena, const char *what, const char *of, const char *form)
{
    return oq_arena_printf(arena, "%s %s %s", what, form, of);
}

static bool keep(struct oq_tune_cache *cache, const struct oq_tune_measured *measured)
{
    char *key = make_key(cache->arena, measured->what, measured->of, measured->form);
    void **place = key == NULL ? NULL : oq_strmap_place(&cache->by_key, key);
    if (place == NULL || !oq_arena_grow(cache->arena, &cache->list, cache->count, &cache->capacity,
                                        sizeof(*measured)))
        return false;
    cache->list[cache->count++] = *measured;
    double *value = oq_arena_alloc(cache->arena, sizeof(*value));
    if (value != NULL)
        *value = measured->value;
    *place = value;
    return value != NULL;
}

bool oq_tune_cache_get(const struct oq_tune_cache *cache, enum oq_tune_what what, const char *of,
                       const char *form, double *value)
{
    char *key = cache->path == NULL ? NULL : make_key(cache->arena, names[what], of, form);
    const double *found = key == NULL ? NULL : oq_strmap_find(&cache->by_key, key);
    if (found != NULL)
        *value = *found;
    return found != NULL;
}

bool oq_tune_cache_put(struct oq_tune_cache *cache, enum oq_tune_what what, const char *of,
                       const char *form, double value, onnxq_error *error)
{
    const struct oq_tune_measured measured = {names[what], of, form, value};
    return cache->path == NULL || !isfinite(value) || keep(cache, &measured) ||
           oq_arena_fail(cache->arena, error);
}

/* --- writing ---------------------------------------------------------------------------- */

static bool write_json(const struct oq_tune_cache *cache, FILE *stream)
{
    const struct oq_tune_origin *origin = &cache->origin;
    struct oq_json json;
    char inputs[24];
    snprintf(inputs, sizeof(inputs), "%016" PRIx64, origin->inputs);
    oq_json_init(&json, stream);
    oq_json_open_object(&json, NULL);
    oq_json_uint(&json, format.mark, format.version);
    oq_structure_digest_write(&origin->model, &json);
    oq_json_string(&json, "onnxq", origin->onnxq);
    oq_json_string(&json, "engine", origin->engine);
    oq_json_string(&json, "machine", origin->machine);
    oq_json_string(&json, "inputs", inputs);
    oq_json_open_array(&json, "measured");
    for (size_t i = 0; i < cache->count; i++) {
        oq_json_open_object(&json, NULL);
        oq_json_string(&json, "what", cache->list[i].what);
        oq_json_string(&json, "of", cache->list[i].of);
        oq_json_string(&json, "form", cache->list[i].form);
        oq_json_number(&json, "value", cache->list[i].value);
        oq_json_close(&json);
    }
    oq_json_close(&json);
    oq_json_close(&json);
    return oq_json_finish(&json);
}

bool oq_tune_cache_save(const struct oq_tune_cache *cache, onnxq_error *error)
{
    const struct oq_output_terms terms = {.most_rights = OQ_ANY_RIGHTS};
    struct oq_output output;
    if (cache->path == NULL)
        return true;
    bool ok = oq_output_open(&output, cache->path, &terms, error);
    FILE *stream = ok ? oq_os_stream(output.fd) : NULL;
    ok = stream != NULL && write_json(cache, stream);
    ok = (stream == NULL || fclose(stream) == 0) && ok;
    if (!ok) /* the first cause stays */
        oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "cannot write");
    ok = ok && oq_output_finish(&output, false, error) &&
         oq_output_publish(&output, false, false, error);
    oq_output_close(&output);
    if (!ok)
        oq_error_file(error, cache->path);
    return ok;
}

/* --- reading ----------------------------------------------------------------------------- */

/* What a later version measures besides is passed over. */
static bool read_measured(struct oq_json_reader *json)
{
    struct oq_tune_cache *cache = json->data;
    struct oq_tune_measured measured = {0};
    uint64_t seen;
    const struct oq_json_member members[] = {
        {"what", oq_json_take_text, &measured.what, false},
        {"of", oq_json_take_text, &measured.of, false},
        {"form", oq_json_take_text, &measured.form, false},
        {"value", oq_json_take_number, &measured.value, false}};
    if (!oq_json_read_members(json, members, sizeof(members) / sizeof(members[0]), &seen))
        return false;
    return keep(cache, &measured) || oq_arena_fail(cache->arena, json->error);
}

static bool read_list(struct oq_json_reader *json, void *into)
{
    (void)into;
    return oq_json_read_items(json, read_measured);
}

static bool read_file(struct oq_tune_cache *cache, struct oq_tune_origin *origin,
                      const char **inputs, onnxq_error *error)
{
    struct oq_json_reader json;
    size_t nbytes = 0;
    const struct oq_json_member members[] = {
        {"model", oq_structure_digest_read, &origin->model, false},
        {"onnxq", oq_json_take_text, &origin->onnxq, false},
        {"engine", oq_json_take_text, &origin->engine, false},
        {"machine", oq_json_take_text, &origin->machine, false},
        {"inputs", oq_json_take_text, inputs, false},
        {"measured", read_list, NULL, false},
    };
    char *text = oq_json_read_file(cache->path, format.what, &nbytes, error);
    if (text == NULL)
        return false;
    oq_json_reader_init(&json, text, nbytes, cache->arena, error);
    json.data = cache;
    bool ok = oq_json_read_marked(&json, &format, members, sizeof(members) / sizeof(members[0])) &&
              oq_json_reader_finish(&json);
    free(text);
    return ok;
}

/* Why measurements are of no use here, or NULL. */
static const char *find_foreign(const struct oq_tune_origin *found, const char *inputs,
                                const struct oq_tune_origin *expected)
{
    char text[24];
    snprintf(text, sizeof(text), "%016" PRIx64, expected->inputs);
    return strcmp(found->machine, expected->machine) != 0 ? "on another machine"
           : strcmp(found->engine, expected->engine) != 0 ? "with another engine"
           : strcmp(found->onnxq, expected->onnxq) != 0   ? "by another onnxq"
           : strcmp(inputs, text) != 0                    ? "with other inputs, weights or settings"
                                                          : NULL;
}

static bool check_model(const struct oq_tune_cache *cache, const struct oq_structure_digest *found,
                        onnxq_error *error)
{
    if (oq_structure_digest_check(found, &cache->origin.model, "measurements", error))
        return true;
    oq_error_hint(error, "name another file, or remove this one");
    return false;
}

static void forget(struct oq_tune_cache *cache)
{
    cache->list = NULL;
    cache->count = cache->capacity = 0;
    oq_strmap_init(&cache->by_key, cache->arena);
}

bool oq_tune_cache_open(struct oq_tune_cache *cache, const char *path, struct oq_arena *arena,
                        const struct oq_tune_origin *origin, onnxq_error *error)
{
    struct oq_tune_origin found = {0};
    const char *inputs = NULL;
    *cache = (struct oq_tune_cache){.path = path, .arena = arena, .origin = *origin};
    forget(cache);
    if (path == NULL || !oq_os_status(path, &(struct oq_file_status){0}))
        return true;
    if (!read_file(cache, &found, &inputs, error) || !check_model(cache, &found.model, error)) {
        oq_error_file(error, path);
        return false;
    }
    cache->foreign = find_foreign(&found, inputs, origin);
    if (cache->foreign != NULL)
        forget(cache);
    return true;
}
