/* What measurements of this search belong to, so that another one knows whether they are its own.
 */
#include <string.h>

#include "base/os.h"
#include "tune/tuning.h"

/* --- what the outputs of the float model depend on ------------------------------------------ */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return oq_tune_hash(hash, text, strlen(text) + 1);
}

static uint64_t hash_array(uint64_t hash, const struct oq_array *array)
{
    hash = hash_text(hash, array->name);
    hash = oq_tune_hash(hash, &array->data_type, sizeof(array->data_type));
    hash = oq_tune_hash(hash, array->dims, array->n_dims * sizeof(*array->dims));
    if (oq_array_is_numeric(array))
        return oq_tune_hash(hash, array->data, (size_t)array->nbytes);
    const char *const *strings = array->data;
    for (uint64_t i = 0; i < array->nelem; i++)
        hash = hash_text(hash, strings[i]);
    return hash;
}

static uint64_t hash_arrays(uint64_t hash, const struct oq_arrays *arrays)
{
    for (size_t i = 0; i < arrays->count; i++)
        hash = hash_array(hash, &arrays->list[i]);
    return hash;
}

static uint64_t hash_session(uint64_t hash, const struct oq_session_options *session)
{
    hash = oq_tune_hash(hash, &session->threads, sizeof(session->threads));
    hash = oq_tune_hash(hash, &session->opt_level, sizeof(session->opt_level));
    for (size_t i = 0; i < session->n_providers; i++)
        hash = hash_text(hash, session->providers[i]);
    return hash;
}

/* Outputs stand for the weights that they are made with. */
static uint64_t hash_inputs(const struct oq_tuning *tuning)
{
    const struct oq_tune_options *options = tuning->options;
    uint64_t hash = hash_session(0, &options->session);
    hash = hash_text(hash, options->mask == NULL ? "" : options->mask);
    for (size_t i = 0; i < tuning->search.count; i++) {
        hash = hash_arrays(hash, &tuning->search.list[i].inputs);
        hash = hash_arrays(hash, &tuning->search_outputs[i]);
    }
    return hash;
}

bool oq_tuning_resume(struct oq_tuning *tuning, onnxq_error *error)
{
    const struct oq_tune_options *options = tuning->options;
    char machine[512];
    oq_os_name_machine(machine, sizeof(machine));
    const struct oq_tune_origin origin = {
        .model = oq_structure_digest(options->model),
        .onnxq = onnxq_version(),
        .engine = oq_arena_strdup(&tuning->arena, oq_engine_version(options->engine)),
        .machine = oq_arena_strdup(&tuning->arena, machine),
        .inputs = hash_inputs(tuning)};
    if (origin.engine == NULL || origin.machine == NULL)
        return oq_arena_fail(&tuning->arena, error);
    return oq_tune_cache_open(&tuning->cache, options->resume, &tuning->arena, &origin, error);
}
