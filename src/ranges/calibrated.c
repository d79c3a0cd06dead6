/* Ranges of a model: made, opened, asked, merged, closed. */
#include "ranges/calibrated.h"

#include <stdlib.h>

/* Statistics of very many values with all their channels; a file takes far less. */
#define BUDGET ((size_t)1 << 30)

onnxq_ranges *oq_ranges_create_empty(const char *path, onnxq_error *error)
{
    onnxq_ranges *ranges = calloc(1, sizeof(*ranges));
    if (ranges == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&ranges->arena, BUDGET);
    oq_strmap_init(&ranges->by_name, &ranges->arena);
    ranges->path = oq_arena_strdup(&ranges->arena, path);
    if (ranges->path == NULL) {
        oq_fail_memory(error);
        onnxq_ranges_close(ranges);
        return NULL;
    }
    return ranges;
}

onnxq_ranges *oq_ranges_create(const onnxq_model *model, onnxq_error *error)
{
    onnxq_ranges *ranges = oq_ranges_create_empty("", error);
    if (ranges != NULL)
        ranges->model = oq_structure_digest(model);
    return ranges;
}

void onnxq_ranges_close(onnxq_ranges *ranges)
{
    if (ranges == NULL)
        return;
    oq_arena_fini(&ranges->arena);
    free(ranges);
}

struct oq_range_stats *oq_ranges_place(onnxq_ranges *ranges, const char *name, onnxq_error *error)
{
    struct oq_arena *arena = &ranges->arena;
    struct oq_range_stats *stats = oq_strmap_find(&ranges->by_name, name);
    if (stats != NULL)
        return stats;
    stats = oq_arena_alloc(arena, sizeof(*stats));
    char *copy = oq_arena_strdup(arena, name);
    void **place = copy != NULL ? oq_strmap_place(&ranges->by_name, copy) : NULL;
    if (stats == NULL || place == NULL ||
        !oq_arena_grow(arena, &ranges->values, ranges->n_values, &ranges->capacity,
                       sizeof(struct oq_range_stats *))) {
        oq_fail_memory(error);
        return NULL;
    }
    stats->name = copy;
    *place = stats;
    ranges->values[ranges->n_values++] = stats;
    return stats;
}

const struct oq_range_stats *oq_ranges_find(const onnxq_ranges *ranges, const char *name)
{
    return oq_strmap_find(&ranges->by_name, name);
}

static bool check_digest(const onnxq_ranges *ranges, const struct oq_structure_digest *expected,
                         onnxq_error *error)
{
    if (oq_structure_digest_check(&ranges->model, expected, "ranges", error))
        return true;
    oq_error_file(error, ranges->path);
    oq_error_hint(error, "make them anew: onnxq calibrate MODEL -i INPUTS");
    return false;
}

bool oq_ranges_check(const onnxq_ranges *ranges, const onnxq_model *model, onnxq_error *error)
{
    struct oq_structure_digest expected = oq_structure_digest(model);
    return check_digest(ranges, &expected, error);
}

onnxq_status onnxq_ranges_merge(onnxq_ranges *ranges, const onnxq_ranges *other, onnxq_error *error)
{
    onnxq_error ignored;
    error = error != NULL ? error : &ignored;
    oq_error_init(error);
    if (!check_digest(other, &ranges->model, error))
        return error->status;
    for (size_t i = 0; i < other->n_values; i++) {
        struct oq_range_stats *stats = oq_ranges_place(ranges, other->values[i]->name, error);
        if (stats == NULL)
            return error->status;
        if (!oq_range_stats_merge(stats, other->values[i], &ranges->arena)) {
            oq_fail_memory(error);
            return error->status;
        }
    }
    ranges->n_runs += other->n_runs;
    ranges->n_drawn_runs += other->n_drawn_runs;
    return ONNXQ_OK;
}
