/*
 * draw_inputs [--seed N] [--sets N] [--dim NAME=N] [--range NAME=LO:HI] OUT MODEL...
 *
 * Draws random inputs for the models, which take the same ones, and writes them
 * for tests that run the models: OUT.json lists names, types and dims of each
 * set, OUT.bin holds the elements one behind the other; strings end with a NUL.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "inputs/feed.h"

#define MAX_SETTINGS 16

struct settings {
    struct oq_dim_setting dims[MAX_SETTINGS];
    struct oq_range_setting ranges[MAX_SETTINGS];
    struct oq_feed_options options;
    const char *out;
};

static int fail(const onnxq_error *error)
{
    char text[2048];
    onnxq_error_format(error, text, sizeof(text));
    fprintf(stderr, "%s\n", text);
    if (error->hint[0] != '\0')
        fprintf(stderr, "%s\n", error->hint);
    return (int)error->status;
}

/* Cuts "name=value" and gives the value. */
static char *value_of(char *text)
{
    char *equals = strrchr(text, '=');
    if (equals == NULL)
        exit(2);
    *equals = '\0';
    return equals + 1;
}

static void read_option(struct settings *settings, const char *option, char *argument)
{
    struct oq_draw_options *draw = &settings->options.draw;
    if (strcmp(option, "--seed") == 0) {
        draw->seed = strtoull(argument, NULL, 10);
    } else if (strcmp(option, "--sets") == 0) {
        settings->options.n_random = strtoull(argument, NULL, 10);
    } else if (strcmp(option, "--dim") == 0 && draw->n_dims < MAX_SETTINGS) {
        struct oq_dim_setting *dim = &settings->dims[draw->n_dims++];
        dim->size = strtoll(value_of(argument), NULL, 10);
        dim->name = argument;
    } else if (strcmp(option, "--range") == 0 && draw->n_ranges < MAX_SETTINGS) {
        struct oq_range_setting *range = &settings->ranges[draw->n_ranges++];
        char *end;
        range->lo = strtod(value_of(argument), &end);
        range->hi = strtod(end + 1, NULL);
        range->name = argument;
    } else {
        exit(2);
    }
}

static void write_elements(const struct oq_array *array, FILE *stream)
{
    if (array->data_type != OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING) {
        fwrite(array->data, 1, (size_t)array->nbytes, stream);
        return;
    }
    char *const *strings = array->data;
    for (uint64_t i = 0; i < array->nelem; i++)
        fwrite(strings[i], 1, strlen(strings[i]) + 1, stream);
}

static void write_array(struct oq_json *json, const struct oq_array *array, FILE *stream)
{
    long start = ftell(stream);
    write_elements(array, stream);
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", array->name);
    oq_json_int(json, "data_type", array->data_type);
    oq_json_open_row(json, "dims");
    for (size_t i = 0; i < array->n_dims; i++)
        oq_json_int(json, NULL, array->dims[i]);
    oq_json_close(json);
    oq_json_int(json, "nbytes", ftell(stream) - start);
    oq_json_close(json);
}

static FILE *open_out(const char *out, const char *suffix)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s%s", out, suffix);
    FILE *stream = fopen(path, "wb");
    if (stream == NULL) {
        perror(path);
        exit(4);
    }
    return stream;
}

static void write_sets(const struct oq_input_sets *sets, const char *out)
{
    FILE *list = open_out(out, ".json"), *elements = open_out(out, ".bin");
    struct oq_json json;
    oq_json_init(&json, list);
    oq_json_open_array(&json, NULL);
    for (size_t i = 0; i < sets->count; i++) {
        oq_json_open_array(&json, NULL);
        for (size_t k = 0; k < sets->list[i].inputs.count; k++)
            write_array(&json, &sets->list[i].inputs.list[k], elements);
        oq_json_close(&json);
    }
    oq_json_close(&json);
    bool complete = oq_json_finish(&json);
    if (fclose(list) != 0 || fclose(elements) != 0 || !complete)
        exit(4);
}

static int draw(struct settings *settings, char *const *paths, size_t n)
{
    onnxq_model **models = calloc(n, sizeof(*models));
    struct oq_input_sets sets = {0};
    struct oq_signature signature;
    struct oq_arena arena;
    onnxq_error error;
    oq_error_init(&error);
    oq_arena_init(&arena, OQ_STRUCTURE_BUDGET);
    bool ok = models != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = (models[i] = onnxq_model_open(paths[i], &error)) != NULL;
    ok = ok && oq_signature_init(&signature, models[0], &arena, &error) &&
         oq_feed_make(&sets, (const onnxq_model *const *)models, n, &signature, &settings->options,
                      &error);
    if (ok)
        write_sets(&sets, settings->out);
    oq_input_sets_fini(&sets);
    oq_arena_fini(&arena);
    for (size_t i = 0; models != NULL && i < n; i++)
        onnxq_model_close(models[i]);
    free(models);
    return ok ? 0 : fail(&error);
}

int main(int argc, char **argv)
{
    struct settings settings = {.options.n_random = 1};
    settings.options.draw.dims = settings.dims;
    settings.options.draw.ranges = settings.ranges;
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2)
        read_option(&settings, argv[i], argv[i + 1]);
    if (argc - i < 2) {
        fprintf(stderr, "usage: draw_inputs [OPTION VALUE]... OUT MODEL...\n");
        return 2;
    }
    settings.out = argv[i];
    return draw(&settings, argv + i + 1, (size_t)(argc - i - 1));
}
