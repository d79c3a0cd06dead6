/* Inputs that all models take, under the names that each gives them. */
#define _POSIX_C_SOURCE 200809L
#include "bench/inputs.h"

#include <stdlib.h>
#include <string.h>

#define SIGNATURE_BUDGET ((size_t)64 << 20)

void oq_names_fini(struct oq_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct oq_names){0};
}

static bool copy_output_names(struct oq_names *names, const struct oq_signature *signature,
                              onnxq_error *error)
{
    names->list = calloc(signature->n_outputs + 1, sizeof(*names->list));
    if (names->list == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < signature->n_outputs; i++) {
        names->list[i] = strdup(signature->outputs[i].name);
        if (names->list[i] == NULL)
            return oq_fail_memory(error);
        names->count++;
    }
    return true;
}

/* --- the models ----------------------------------------------------------------- */

/* The models while they are open. */
struct opened {
    onnxq_model **models;
    struct oq_signature *signatures;
    struct oq_arena arena;
    size_t n;
};

static bool open_one(struct opened *opened, size_t i, struct oq_contestant *contestant,
                     onnxq_error *error)
{
    opened->models[i] = onnxq_model_open(contestant->path, error);
    if (opened->models[i] == NULL)
        return false;
    const onnxq_model_info *info = onnxq_model_get_info(opened->models[i]);
    contestant->file_nbytes = info->file_nbytes;
    contestant->side_nbytes = info->external_nbytes;
    return oq_signature_init(&opened->signatures[i], opened->models[i], &opened->arena, error) &&
           (i == 0 ||
            oq_signature_check_same(&opened->signatures[i], &opened->signatures[0], error)) &&
           copy_output_names(&contestant->outputs, &opened->signatures[i], error);
}

static bool open_all(struct opened *opened, struct oq_contestant *const *contestants,
                     onnxq_error *error)
{
    opened->models = calloc(opened->n, sizeof(onnxq_model *));
    opened->signatures = calloc(opened->n, sizeof(*opened->signatures));
    if (opened->models == NULL || opened->signatures == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < opened->n; i++) {
        if (!open_one(opened, i, contestants[i], error)) {
            oq_error_file(error, contestants[i]->path);
            return false;
        }
    }
    return true;
}

static void close_all(struct opened *opened)
{
    for (size_t i = 0; opened->models != NULL && i < opened->n; i++)
        onnxq_model_close(opened->models[i]);
    free(opened->models);
    free(opened->signatures);
    oq_arena_fini(&opened->arena);
}

bool oq_contestants_prepare(struct oq_contestant *const *contestants, size_t n,
                            const struct oq_feed_options *feed, struct oq_input_sets *sets,
                            onnxq_error *error)
{
    struct opened opened = {.n = n};
    oq_arena_init(&opened.arena, SIGNATURE_BUDGET);
    bool made = open_all(&opened, contestants, error) &&
                oq_feed_make(sets, (const onnxq_model *const *)opened.models, n,
                             &opened.signatures[0], feed, error);
    close_all(&opened);
    return made;
}
