/*
 * Two models: any bytes, and their field FUZZ_MODEL; where they have none, what
 * quantizing the first one gives. Sites are found where they differ, and the
 * models that measure each are made, which have to be models. No engine runs.
 */
#include <string.h>

#include "layers/probe.h"
#include "fuzz/support.h"

static char *paths[2], *probe_path;

static onnxq_model *quantize(const onnxq_model *model, uint8_t choice)
{
    onnxq_options options;
    onnxq_error error = {0};
    onnxq_options_init(&options);
    options.output.sync = false;
    options.min_elements = 1;
    options.method = (onnxq_method)(choice % 4);
    options.force_integer = options.method == ONNXQ_METHOD_DYNAMIC;
    options.output.threads = 1;
    onnxq_plan *plan = onnxq_plan_create(model, &options, &error);
    bool ok = plan && onnxq_plan_write(plan, paths[1], &error) == ONNXQ_OK;
    onnxq_plan_destroy(plan);
    return ok ? fuzz_reopen(paths[1]) : NULL;
}

static void check_ascending(const struct oq_nodes *nodes, size_t n_nodes)
{
    for (size_t k = 0; k < nodes->count; k++) {
        CHECK(nodes->list[k] < n_nodes);
        CHECK(k == 0 || nodes->list[k] > nodes->list[k - 1]);
    }
}

static void check_names(const struct oq_name_list *names)
{
    for (size_t k = 0; k < names->count; k++)
        CHECK(names->list[k] && names->list[k][0] != '\0');
}

static void check_site(const struct oq_layer_site *site, const onnxq_model *candidate)
{
    CHECK(site->name && site->op_type && site->form && site->values.count > 0);
    check_names(&site->values);
    check_names(&site->inputs);
    check_ascending(&site->nodes, candidate->proto->graph->n_node);
}

static void check_written(const struct oq_probe *probe)
{
    onnxq_error error = {0};
    uint8_t *bytes;
    size_t nbytes;
    if (oq_probe_write(probe, &bytes, &nbytes, &error)) {
        fuzz_write(probe_path, bytes, nbytes);
        onnxq_model_close(fuzz_reopen(probe_path));
    } else {
        fuzz_check_error(&error);
    }
    free(bytes);
}

/* The part of the candidate that computes a site. */
static void make_apart(const onnxq_model *candidate, const struct oq_layer_site *site)
{
    const struct oq_array like = {.data_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT, .n_dims = 2};
    struct oq_probe probe;
    onnxq_error error = {0};
    const char **made = calloc(site->values.count, sizeof(*made));
    CHECK(made);
    bool ok = oq_probe_init(&probe, candidate, &error) &&
              oq_probe_keep_sites(&probe, &site, 1, made, &error);
    for (size_t k = 0; ok && k < site->inputs.count; k++)
        ok = oq_probe_add_input(&probe, site->inputs.list[k], &like, k % 2 == 0, &error);
    if (ok)
        check_written(&probe);
    else
        fuzz_check_error(&error);
    oq_probe_fini(&probe);
    free(made);
}

/* The reference, with its inner values as outputs and something added to each. */
static void make_changed(const onnxq_model *reference, const struct oq_layer_sites *sites)
{
    const struct oq_array like = {.data_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT};
    struct oq_probe probe;
    onnxq_error error = {0};
    bool ok = oq_probe_init(&probe, reference, &error);
    for (size_t i = 0; ok && i < sites->count; i++) {
        const struct oq_name_list *values = &sites->list[i].values;
        for (size_t k = 0; ok && k < values->count; k++)
            ok = oq_probe_add_output(&probe, values->list[k], &error) &&
                 oq_probe_add_delta(&probe, values->list[k], &like, &error) != NULL;
    }
    if (ok)
        check_written(&probe);
    else
        fuzz_check_error(&error);
    oq_probe_fini(&probe);
}

static void compare(const onnxq_model *reference, const onnxq_model *candidate)
{
    struct oq_layer_sites sites;
    struct oq_arena arena;
    onnxq_error error = {0};
    oq_arena_init(&arena, oq_model_budget(reference) + oq_model_budget(candidate));
    if (oq_layer_sites_find(&sites, reference, candidate, &arena, &error)) {
        for (size_t i = 0; i < sites.count; i++) {
            check_site(&sites.list[i], candidate);
            make_apart(candidate, &sites.list[i]);
        }
        make_changed(reference, &sites);
    } else {
        fuzz_check_error(&error);
    }
    oq_arena_fini(&arena);
}

/* A model has no sites against itself: what differs would differ by chance. */
static void compare_with_itself(const onnxq_model *model)
{
    struct oq_layer_sites sites;
    struct oq_arena arena;
    onnxq_error error = {0};
    oq_arena_init(&arena, 2 * oq_model_budget(model));
    if (oq_layer_sites_find(&sites, model, model, &arena, &error))
        CHECK(sites.count == 0);
    else
        fuzz_check_error(&error);
    oq_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    const struct fuzz_bytes second = fuzz_find_field(data, nbytes, FUZZ_MODEL);
    if (!probe_path) {
        paths[0] = fuzz_path("reference.onnx");
        paths[1] = fuzz_path("candidate.onnx");
        probe_path = fuzz_path("probe.onnx");
    }
    onnxq_model *reference = fuzz_open(paths[0], data, nbytes);
    if (!reference)
        return 0;
    uint8_t choice = fuzz_byte(fuzz_find_field(data, nbytes, FUZZ_OPTIONS), 0);
    onnxq_model *candidate = second.nbytes > 0 ? fuzz_open(paths[1], second.bytes, second.nbytes)
                                               : quantize(reference, choice);
    compare_with_itself(reference);
    if (candidate) {
        compare(reference, candidate);
        compare(candidate, reference);
    }
    onnxq_model_close(candidate);
    onnxq_model_close(reference);
    return 0;
}
