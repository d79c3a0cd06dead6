/* The third pass: the candidate runs as a whole, and errors have accumulated. */
#include "layers/batch.h"

static bool take_accumulated(struct oq_batch *batch, const struct oq_session *session,
                             size_t number, const struct oq_batch_site *site, size_t k, size_t run,
                             onnxq_error *error)
{
    struct oq_array result = {0};
    bool ok = oq_session_get_output(session, number, &result, error);
    if (ok && !oq_batch_compare(oq_batch_reference(batch, run, site->found->values.list[k]),
                                &result, NULL, &site->sums->accumulated))
        site->layer->unmeasured = "the candidate gives it another shape or type";
    oq_array_fini(&result);
    return ok;
}

static bool take_all_accumulated(struct oq_batch *batch, const struct oq_session *session,
                                 size_t run, onnxq_error *error)
{
    size_t number = 0;
    for (size_t s = 0; s < batch->n_sites; s++)
        for (size_t k = 0; k < batch->sites[s].found->values.count; k++, number++)
            if (!take_accumulated(batch, session, number, &batch->sites[s], k, run, error))
                return false;
    return oq_batch_advance(batch, batch->n_sites, error);
}

bool oq_pass_candidate(struct oq_batch *batch, onnxq_error *error)
{
    struct oq_runner runner = {0};
    const char **names = oq_arena_array(&batch->arena, batch->n_made + 1, sizeof(*names));
    size_t n = 0;
    if (names == NULL)
        return oq_batch_fail(batch, error);
    for (size_t s = 0; s < batch->n_sites; s++)
        for (size_t k = 0; k < batch->sites[s].found->values.count; k++)
            names[n++] = batch->sites[s].found->values.list[k];
    struct oq_session *session = oq_batch_open(batch, batch->group->candidate, names, n, error);
    bool ok = oq_runner_init(&runner, &batch->group->setup->inputs, session, names, n,
                             &batch->group->candidate_state, error);
    for (size_t run = 0; ok && run < batch->count; run++)
        ok = oq_runner_put_set(&runner, batch->first + run, error) &&
             oq_runner_run(&runner, error) &&
             take_all_accumulated(batch, runner.session, run, error) &&
             oq_runner_carry(&runner, error);
    oq_runner_fini(&runner);
    return ok;
}
