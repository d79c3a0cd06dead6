/*
 * What oq_input_sets_read() makes of files and folders, as JSON: values_dump PATH...
 *
 * One object for each path: either its sets, with all elements as hex digits,
 * or the error. A path that cannot be read does not stop it.
 */
#include <onnxq/onnxq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "model/dtype.h"
#include "onnx.pb-c.h"
#include "arrays/input_files.h"

static void put_hex(struct oq_json *json, const char *key, const void *data, size_t nbytes)
{
    char *text = malloc(2 * nbytes + 1);
    if (text == NULL)
        abort();
    for (size_t i = 0; i < nbytes; i++) {
        unsigned byte = ((const unsigned char *)data)[i];
        text[2 * i] = "0123456789abcdef"[byte >> 4];
        text[2 * i + 1] = "0123456789abcdef"[byte & 15];
    }
    text[2 * nbytes] = '\0';
    oq_json_string(json, key, text);
    free(text);
}

static void put_array(struct oq_json *json, const struct oq_array *array)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", array->name);
    oq_json_string(json, "dtype", oq_dtype_find(array->data_type)->name);
    oq_json_open_row(json, "dims");
    for (size_t i = 0; i < array->n_dims; i++)
        oq_json_int(json, NULL, array->dims[i]);
    oq_json_close(json);
    if (array->data_type == OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING) {
        const char *const *strings = array->data;
        oq_json_open_row(json, "strings");
        for (uint64_t i = 0; i < array->nelem; i++)
            put_hex(json, NULL, strings[i], strlen(strings[i]));
        oq_json_close(json);
    } else {
        put_hex(json, "data", array->data, (size_t)array->nbytes);
    }
    oq_json_close(json);
}

static void put_arrays(struct oq_json *json, const char *key, const struct oq_arrays *arrays)
{
    oq_json_open_array(json, key);
    for (size_t i = 0; i < arrays->count; i++)
        put_array(json, &arrays->list[i]);
    oq_json_close(json);
}

static void put_sets(struct oq_json *json, const struct oq_input_sets *sets)
{
    oq_json_open_array(json, "sets");
    for (size_t i = 0; i < sets->count; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "label", sets->list[i].label);
        put_arrays(json, "inputs", &sets->list[i].inputs);
        put_arrays(json, "outputs", &sets->list[i].outputs);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void put_path(struct oq_json *json, const char *path)
{
    struct oq_input_sets sets = {0};
    onnxq_error error;
    oq_error_init(&error);
    oq_json_open_object(json, NULL);
    if (oq_input_sets_read(&sets, path, &error)) {
        put_sets(json, &sets);
    } else {
        char text[2048];
        onnxq_error_format(&error, text, sizeof text);
        oq_json_string(json, "error", text);
        oq_json_string(json, "hint", error.hint);
        oq_json_int(json, "status", error.status);
    }
    oq_input_sets_fini(&sets);
    oq_json_close(json);
}

int main(int argc, char **argv)
{
    struct oq_json json;
    oq_json_init(&json, stdout);
    oq_json_open_array(&json, NULL);
    for (int i = 1; i < argc; i++)
        put_path(&json, argv[i]);
    oq_json_close(&json);
    return oq_json_finish(&json) ? 0 : 1;
}
