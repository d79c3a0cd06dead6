/* Configurations of quantizations, of which the members that matter are read. */
#include "checkpoint/quantization.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_file.h"
#include "base/os.h"

/* What the members that matter are called, and by whom. */
struct config {
    const char *method, *format, *version, *packing, *pack_type;
    int64_t bits, group_size;
    bool is_symmetric, has_exceptions;
};

static bool read_text(struct oq_json_reader *json, const char **into)
{
    const char next = oq_json_peek(json);
    return next == '"' ? oq_json_read_string(json, into) : oq_json_skip_value(json);
}

static bool read_int(struct oq_json_reader *json, int64_t *into)
{
    const char next = oq_json_peek(json);
    const bool is_number = next == '-' || (next >= '0' && next <= '9');
    return is_number ? oq_json_read_int(json, into) : oq_json_skip_value(json);
}

static bool read_flag(struct oq_json_reader *json, bool *into)
{
    *into = oq_json_peek(json) == 't';
    return oq_json_skip_value(json);
}

static bool is_one_of(const char *key, const char *name, const char *other)
{
    return strcmp(key, name) == 0 || strcmp(key, other) == 0;
}

static bool read_member(struct oq_json_reader *json, const char *key, struct config *config)
{
    if (strcmp(key, "quant_method") == 0)
        return read_text(json, &config->method);
    if (is_one_of(key, "checkpoint_format", "format"))
        return read_text(json, &config->format);
    if (strcmp(key, "version") == 0)
        return read_text(json, &config->version);
    if (strcmp(key, "packing_format") == 0)
        return read_text(json, &config->packing);
    if (strcmp(key, "pack_dtype") == 0)
        return read_text(json, &config->pack_type);
    if (is_one_of(key, "bits", "w_bit"))
        return read_int(json, &config->bits);
    if (is_one_of(key, "group_size", "q_group_size"))
        return read_int(json, &config->group_size);
    if (strcmp(key, "sym") == 0)
        return read_flag(json, &config->is_symmetric);
    if (is_one_of(key, "dynamic", "extra_config")) {
        config->has_exceptions = oq_json_peek(json) == '{';
        return oq_json_skip_value(json);
    }
    return oq_json_skip_value(json);
}

static bool read_config(struct oq_json_reader *json, struct config *config)
{
    const char *key;
    if (!oq_json_enter_object(json))
        return false;
    while (oq_json_next_member(json, &key))
        if (!read_member(json, key, config))
            return false;
    return !json->failed;
}

/* Of a model's config.json one member; *found: it is there. */
static bool read_nested(struct oq_json_reader *json, struct config *config, bool *found)
{
    const char *key;
    if (!oq_json_enter_object(json))
        return false;
    while (oq_json_next_member(json, &key)) {
        const bool is_it = strcmp(key, "quantization_config") == 0 && oq_json_peek(json) == '{';
        if (is_it ? !read_config(json, config) : !oq_json_skip_value(json))
            return false;
        *found |= is_it;
    }
    return !json->failed;
}

/* --- what it means --- */

/* A text of the file that may be missing. */
static bool says(const char *text, const char *word)
{
    return text != NULL && strcmp(text, word) == 0;
}

static bool refuse(onnxq_error *error, const char *member, const char *value)
{
    return oq_fail(error, ONNXQ_ERROR_INPUT,
                   "%s is \"%.60s\"; GPTQ is read in the formats gptq and gptq_v2, and AWQ in gemm",
                   member, value);
}

static bool take_gptq(const struct config *config, enum oq_packing *packing, onnxq_error *error)
{
    if (says(config->format, "gptq_v2"))
        *packing = OQ_PACKING_GPTQ_V2;
    else if (config->format == NULL || says(config->format, "gptq"))
        *packing = OQ_PACKING_GPTQ;
    else
        return refuse(error, "checkpoint_format", config->format);
    return true;
}

/* AutoAWQ calls the format a version, and in capitals; GPTQModel a format. */
static bool take_awq(const struct config *config, enum oq_packing *packing, onnxq_error *error)
{
    const char *format = config->version != NULL ? config->version : config->format;
    *packing = OQ_PACKING_AWQ;
    return format == NULL || is_one_of(format, "gemm", "GEMM") || refuse(error, "version", format);
}

static bool take_packing(const struct config *config, enum oq_packing *packing, onnxq_error *error)
{
    static const char prefix[] = "auto_round:";
    const char *method = config->method;
    if (config->pack_type != NULL && !says(config->pack_type, "int32"))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "pack_dtype is \"%.60s\", expected int32",
                       config->pack_type);
    if (says(method, "gptq") || (method == NULL && config->format != NULL))
        return take_gptq(config, packing, error);
    if (says(method, "awq") || (method == NULL && config->version != NULL))
        return take_awq(config, packing, error);
    if (method == NULL) /* older files of AutoGPTQ: shapes tell which of the two it is */
        return true;
    if (says(config->packing, "auto_round:auto_gptq"))
        *packing = OQ_PACKING_GPTQ;
    else if (says(config->packing, "auto_round:auto_awq"))
        *packing = OQ_PACKING_AWQ;
    else if (config->packing != NULL && strncmp(config->packing, prefix, strlen(prefix)) == 0)
        return refuse(error, "packing_format", config->packing);
    else
        return refuse(error, "quant_method", method);
    return true;
}

static bool take(const struct config *config, struct oq_quantization *quantization,
                 onnxq_error *error)
{
    if (config->bits < 0 || config->bits > 32 || config->group_size < -1)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "bits or group_size is out of range");
    quantization->bits = config->bits;
    quantization->group_size = config->group_size;
    quantization->is_symmetric = config->is_symmetric;
    quantization->has_exceptions = config->has_exceptions;
    return take_packing(config, &quantization->packing, error);
}

/* --- files --- */

static bool read_path(struct oq_quantization *quantization, const char *path, bool is_nested,
                      struct oq_arena *arena, onnxq_error *error)
{
    size_t nbytes;
    struct config config = {0};
    struct oq_json_reader json;
    bool found = !is_nested;
    char *text = oq_json_read_file(path, "a configuration", &nbytes, error);
    if (text == NULL)
        return false;
    oq_json_reader_init(&json, text, nbytes, arena, error);
    bool ok = (is_nested ? read_nested(&json, &config, &found) : read_config(&json, &config)) &&
              oq_json_reader_finish(&json) && (!found || take(&config, quantization, error));
    free(text);
    if (found)
        quantization->path = path;
    return ok;
}

bool oq_quantization_find(struct oq_quantization *quantization, const char *folder,
                          struct oq_arena *arena, onnxq_error *error)
{
    static const struct {
        const char *name;
        bool is_nested;
    } files[] = {
        {"quantize_config.json", false}, {"quant_config.json", false}, {"config.json", true}};
    *quantization = (struct oq_quantization){0};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && quantization->path == NULL; i++) {
        struct oq_file_status status;
        const char *path = oq_arena_printf(arena, "%s%s", folder, files[i].name);
        if (path == NULL)
            return oq_arena_fail(arena, error);
        if (!oq_os_status(path, &status) && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (!read_path(quantization, path, files[i].is_nested, arena, error)) {
            oq_error_file(error, path);
            return false;
        }
    }
    return true;
}
