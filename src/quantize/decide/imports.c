/*
 * options.weights_from: which weight each module of a checkpoint is for, told by names and checked
 * by shapes, and what is taken of it.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "quantize/decide/import_names.h"
#include "quantize/decide/steps.h"
#include "quantize/rules/rules.h"

/* A module while its weight is looked for. */
struct import_candidate {
    const struct oq_constant *constant; /* of the best name so far */
    enum oq_name_match match;
    bool is_ambiguous; /* another weight has as good a name */
    struct oq_import *import;
};

/* A site that a module could be for. */
struct pairing {
    struct oq_site *site;
    const struct oq_module *module;
};

/* Rows of modules by group, where these do not follow each other. */
struct row_order {
    uint64_t rows, group_size;
    const int32_t *groups, *order;
    struct row_order *next;
};

struct importing {
    onnxq_plan *plan;
    const onnxq_checkpoint *checkpoint;
    struct oq_import_names names;
    struct import_candidate *candidates; /* [n_modules] */
    struct pairing *pairings;
    size_t n_pairings, pairings_capacity;
    struct row_order *orders; /* list: each that was read */
    struct oq_arena arena;    /* of all this, but for what is kept */
    onnxq_error *error;
};

static bool out_of_memory(const struct importing *importing)
{
    return oq_arena_fail(importing->arena.failed ? &importing->arena : &importing->plan->arena,
                         importing->error);
}

static size_t number_of(const struct importing *importing, const struct oq_module *module)
{
    return (size_t)(module - importing->checkpoint->modules);
}

/* --- weights that can be taken from a module --- */

/* The right factor of a product of a matrix. */
static bool is_product(const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    return site->graph != NULL && site->node != NULL && site->rule != NULL && site->input == 1 &&
           (site->rule->op == OQ_ONNX_MatMul || site->rule->op == OQ_ONNX_Gemm) &&
           source->n_dims == 2 && source->dtype != NULL && source->dtype->is_float;
}

/* The axis of the weight's inputs, as it is stored. */
static size_t axis_of_rows(const struct oq_site *site)
{
    const bool is_turned =
        oq_node_is(site->node, "", "Gemm") && oq_node_int(site->node, "transB", 0) != 0;
    return is_turned != site->constant->source.transposed ? 1 : 0;
}

static bool has_shape(const struct oq_site *site, const struct oq_module *module)
{
    const int64_t *dims = site->constant->source.dims;
    const size_t axis = axis_of_rows(site);
    return (uint64_t)dims[axis] == module->rows && (uint64_t)dims[1 - axis] == module->columns;
}

/* --- which module a site is for --- */

struct named {
    enum oq_name_match match;
    const struct oq_module *module;
    bool has_shape;
};

/* A name that tells more; of two that tell as much, the one whose shape fits. */
static bool is_better(const struct named *a, const struct named *b)
{
    if ((a->module != NULL) != (b->module != NULL))
        return a->module != NULL;
    if (a->has_shape != b->has_shape)
        return a->has_shape;
    return a->match > b->match;
}

static bool look_up(const struct importing *importing, const struct oq_site *site, const char *name,
                    struct named *best, bool *differs)
{
    struct named found = {OQ_NAME_OTHER, NULL, false};
    if (!oq_import_names_find(&importing->names, name, &found.match, &found.module))
        return false;
    found.has_shape = found.module != NULL && has_shape(site, found.module);
    const bool is_other = best->module != NULL && found.module != NULL &&
                          best->module != found.module && best->match == found.match &&
                          best->has_shape == found.has_shape;
    *differs |= is_other;
    if (is_better(&found, best)) {
        *best = found;
        *differs = false;
    }
    return true;
}

static const char *describe_shape(const struct importing *importing, const struct oq_site *site,
                                  const struct oq_module *module)
{
    const int64_t *dims = site->constant->source.dims;
    const size_t axis = axis_of_rows(site);
    return oq_arena_printf(&importing->plan->arena,
                           "its module is %llu x %llu in the checkpoint, and %lld x %lld here",
                           (unsigned long long)module->rows, (unsigned long long)module->columns,
                           (long long)dims[axis], (long long)dims[1 - axis]);
}

/* Why the module is not for this site, or NULL. */
static const char *refuse_site(const struct importing *importing, const struct oq_site *site,
                               const struct named *named, bool differs)
{
    if (named->match == OQ_NAME_AMBIGUOUS)
        return "its name could be that of several modules of the checkpoint";
    if (named->module == NULL)
        return "not in the checkpoint";
    if (differs)
        return "its node and its weight have the names of different modules";
    if (!named->has_shape)
        return describe_shape(importing, site, named->module);
    if (site->constant->source.factors != NULL)
        return "the graph multiplies it before it is used";
    if (named->module->refusal != NULL)
        return named->module->refusal;
    return NULL;
}

/* A module is for one weight, that of the best name. */
static void note(struct import_candidate *candidate, const struct oq_site *site,
                 const struct named *named)
{
    if (candidate->constant != NULL && named->match == candidate->match)
        candidate->is_ambiguous |= site->constant != candidate->constant;
    if (candidate->constant != NULL && named->match <= candidate->match)
        return;
    *candidate = (struct import_candidate){.constant = site->constant, .match = named->match};
}

static bool find_name(const struct importing *importing, const struct oq_site *site,
                      struct named *best, bool *differs)
{
    const char *const names[] = {oq_node_label(site->node), site->constant->name,
                                 oq_constant_label(importing->plan, site->constant)};
    *best = (struct named){OQ_NAME_OTHER, NULL, false};
    *differs = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i] != NULL && !look_up(importing, site, names[i], best, differs))
            return false;
    return true;
}

static bool pair_up(struct importing *importing, struct oq_site *site)
{
    struct named best;
    bool differs;
    site->import_refusal = "not in the checkpoint";
    if (!is_product(site))
        return true;
    if (!find_name(importing, site, &best, &differs))
        return out_of_memory(importing);
    site->import_refusal = refuse_site(importing, site, &best, differs);
    if (best.module == NULL)
        return true;
    onnxq_import *told = &importing->plan->imports[number_of(importing, best.module)];
    told->weight = oq_constant_label(importing->plan, site->constant);
    if (site->import_refusal != NULL) {
        told->reason = site->import_refusal;
        return true;
    }
    note(&importing->candidates[number_of(importing, best.module)], site, &best);
    if (!oq_arena_grow(&importing->arena, &importing->pairings, importing->n_pairings,
                       &importing->pairings_capacity, sizeof(*importing->pairings)))
        return out_of_memory(importing);
    importing->pairings[importing->n_pairings++] = (struct pairing){site, best.module};
    return true;
}

/* --- the order of rows --- */

/* Rows by group, those of a group as they follow; false where groups have other numbers of them. */
static bool sort_rows(const struct oq_module *module, const int32_t *groups, int32_t *order,
                      uint64_t *at)
{
    for (uint64_t g = 0; g < module->n_groups; g++)
        at[g] = g * module->group_size;
    for (uint64_t row = 0; row < module->rows; row++) {
        const uint64_t g = (uint64_t)(uint32_t)groups[row];
        if (g >= module->n_groups ||
            at[g] == oq_min_u64((g + 1) * module->group_size, module->rows))
            return false;
        order[at[g]++] = (int32_t)row;
    }
    return true;
}

static bool is_in_order(const struct oq_module *module, const int32_t *groups)
{
    for (uint64_t row = 0; row < module->rows; row++)
        if ((uint64_t)(uint32_t)groups[row] != row / module->group_size)
            return false;
    return true;
}

/* What q, k and v of an attention have in common is kept once. */
static const struct row_order *find_order(const struct importing *importing,
                                          const struct oq_module *module, const int32_t *groups)
{
    const struct row_order *order = importing->orders;
    while (order != NULL &&
           (order->rows != module->rows || order->group_size != module->group_size ||
            memcmp(order->groups, groups, (size_t)module->rows * sizeof(*groups)) != 0))
        order = order->next;
    return order;
}

static bool add_order(struct importing *importing, const struct oq_module *module,
                      const int32_t *groups, const struct row_order **added)
{
    struct oq_arena *arena = &importing->plan->arena;
    const size_t rows = (size_t)module->rows;
    struct row_order *order = oq_arena_alloc(&importing->arena, sizeof(*order));
    uint64_t *at = oq_arena_array(&importing->arena, (size_t)module->n_groups, sizeof(*at));
    int32_t *kept = oq_arena_array(arena, rows, sizeof(*kept));
    int32_t *sorted = oq_arena_array(arena, rows, sizeof(*sorted));
    *added = NULL;
    if (order == NULL || at == NULL || kept == NULL || sorted == NULL)
        return out_of_memory(importing);
    if (!sort_rows(module, groups, sorted, at))
        return true;
    memcpy(kept, groups, rows * sizeof(*kept));
    *order = (struct row_order){module->rows, module->group_size, kept, sorted, importing->orders};
    importing->orders = order;
    *added = order;
    return true;
}

/* --- what is taken of a module --- */

static bool read_order(struct importing *importing, struct oq_import *import, const char **refusal)
{
    const struct oq_module *module = import->numbers.module;
    int32_t *groups = malloc((size_t)module->rows * sizeof(*groups));
    const struct row_order *order = NULL;
    if (groups == NULL)
        return oq_fail_memory(importing->error);
    bool ok = oq_unpack_read_groups(module, groups, importing->error);
    if (ok && !is_in_order(module, groups)) {
        order = find_order(importing, module, groups);
        ok = order != NULL || add_order(importing, module, groups, &order);
        if (order == NULL)
            *refusal = "g_idx has groups of other numbers of rows, which no blocks stand for";
        else if (importing->plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
            *refusal = "g_idx reorders the inputs, which needs opset 11";
    }
    if (order != NULL) {
        import->numbers.order = order->order;
        import->groups = order->groups;
    }
    free(groups);
    return ok;
}

/* Why it cannot be taken, or NULL. */
static bool prepare(struct importing *importing, struct oq_import *import, const char **refusal)
{
    const struct oq_module *module = import->numbers.module;
    bool all_in_the_middle, fits;
    *refusal = NULL;
    import->block_size = oq_import_block_size(module);
    if (!oq_unpack_find_zeros(&import->numbers, &all_in_the_middle, &fits, importing->error))
        return false;
    import->has_zero_points = !all_in_the_middle;
    if (!fits)
        *refusal = "a zero point is one more than the largest integer";
    return *refusal != NULL || module->groups == NULL || read_order(importing, import, refusal);
}

static bool make_import(struct importing *importing, const struct oq_module *module,
                        struct import_candidate *candidate)
{
    onnxq_import *told = &importing->plan->imports[number_of(importing, module)];
    struct oq_import *import = oq_arena_alloc(&importing->plan->arena, sizeof(*import));
    const char *refusal = NULL;
    if (import == NULL)
        return out_of_memory(importing);
    *import = (struct oq_import){.numbers = {.module = module}};
    if (candidate->is_ambiguous)
        refusal = "several weights of the model have its name";
    else if (!prepare(importing, import, &refusal))
        return false;
    told->weight = oq_constant_label(importing->plan, candidate->constant);
    told->reason = refusal != NULL ? refusal : "";
    told->is_reordered = import->numbers.order != NULL;
    if (module->packing != OQ_PACKING_AWQ)
        told->format = import->numbers.zero_offset != 0 ? "gptq" : "gptq_v2";
    candidate->import = refusal == NULL ? import : NULL;
    return true;
}

static bool make_all(struct importing *importing)
{
    for (size_t i = 0; i < importing->checkpoint->n_modules; i++)
        if (importing->candidates[i].constant != NULL &&
            !make_import(importing, &importing->checkpoint->modules[i], &importing->candidates[i]))
            return false;
    for (size_t i = 0; i < importing->n_pairings; i++) {
        const struct pairing *pairing = &importing->pairings[i];
        const size_t number = number_of(importing, pairing->module);
        const struct import_candidate *candidate = &importing->candidates[number];
        const bool is_its = candidate->constant == pairing->site->constant;
        pairing->site->import = is_its ? candidate->import : NULL;
        pairing->site->import_refusal =
            is_its ? importing->plan->imports[number].reason : "its module is another weight's";
    }
    return true;
}

/* --- all of it --- */

static bool describe_modules(const struct importing *importing)
{
    static const char *const formats[] = {"", "gptq", "gptq_v2", "awq"};
    onnxq_plan *plan = importing->plan;
    plan->n_imports = importing->checkpoint->n_modules;
    plan->imports = oq_arena_array(&plan->arena, plan->n_imports, sizeof(*plan->imports));
    for (size_t i = 0; plan->imports != NULL && i < plan->n_imports; i++) {
        const struct oq_module *module = &importing->checkpoint->modules[i];
        plan->imports[i] = (onnxq_import){.struct_size = sizeof(onnxq_import),
                                          .module = module->name,
                                          .weight = "",
                                          .reason = "no weight of the model has its name",
                                          .format = formats[module->packing],
                                          .bits = module->bits,
                                          .rows = module->rows,
                                          .columns = module->columns,
                                          .group_size = module->group_size,
                                          .distance = -1};
    }
    return plan->imports != NULL || out_of_memory(importing);
}

static bool check_any(const struct importing *importing, const onnxq_options *given)
{
    const onnxq_import *first = &importing->plan->imports[0]; /* there is one at least */
    for (size_t i = 0; i < importing->plan->n_imports; i++) {
        const onnxq_import *import = &importing->plan->imports[i];
        if (import->reason[0] == '\0')
            return true;
        if (first->weight[0] == '\0' && import->weight[0] != '\0')
            first = import;
    }
    if (given->allow_unmatched)
        return true;
    oq_fail(importing->error, ONNXQ_ERROR_OPTION,
            "no module of the checkpoint can be taken; \"%.120s\": %s", first->module,
            first->reason);
    oq_error_hint(importing->error, "is it of this model? names of nodes or weights are compared");
    return false;
}

/* --- what is not quantized --- */

static bool has_same_shape(const struct oq_tensor *tensor, const struct oq_stored *stored)
{
    bool is_same = tensor->n_dims == stored->n_dims;
    for (size_t i = 0; is_same && i < tensor->n_dims; i++)
        is_same = (uint64_t)tensor->dims[i] == stored->dims[i];
    return is_same;
}

/* Floats of at most 32 bits that both have under the same name. */
static const struct oq_stored *find_floats(const struct importing *importing,
                                           const struct oq_constant *constant)
{
    const struct oq_tensor *tensor = constant->tensor;
    if (tensor == NULL || tensor->nelem == 0 || tensor->dtype == NULL || !tensor->dtype->is_float ||
        tensor->dtype->nbits > 32 || constant->value == NULL ||
        constant->value->origin != OQ_ORIGIN_INITIALIZER)
        return NULL;
    const struct oq_stored *stored =
        oq_strmap_find(&importing->checkpoint->by_name, constant->name);
    const bool is_float =
        stored != NULL && (stored->type == OQ_STORED_F16 || stored->type == OQ_STORED_BF16 ||
                           stored->type == OQ_STORED_F32);
    return is_float && has_same_shape(tensor, stored) ? stored : NULL;
}

static void take_floats(const struct importing *importing, struct oq_constant *constant)
{
    constant->floats = find_floats(importing, constant);
    importing->plan->summary.n_imported_floats += constant->floats != NULL;
    for (size_t i = 0; constant->floats != NULL && i < constant->n_sites; i++)
        constant->sites[i].import_refusal = "float, as the checkpoint has it";
}

static bool find_imports(struct importing *importing, const onnxq_options *given)
{
    onnxq_plan *plan = importing->plan;
    importing->candidates = oq_arena_array(&importing->arena, importing->checkpoint->n_modules,
                                           sizeof(*importing->candidates));
    if (importing->candidates == NULL ||
        !oq_import_names_init(&importing->names, importing->checkpoint, &importing->arena))
        return out_of_memory(importing);
    if (!describe_modules(importing))
        return false;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (!pair_up(importing, &plan->constants[i].sites[k]))
                return false;
    for (size_t i = 0; i < plan->n_constants; i++)
        take_floats(importing, &plan->constants[i]);
    return make_all(importing) && check_any(importing, given);
}

bool oq_plan_find_imports(onnxq_plan *plan, const onnxq_options *given, onnxq_error *error)
{
    struct importing importing = {.plan = plan, .checkpoint = plan->checkpoint, .error = error};
    if (plan->checkpoint == NULL)
        return true;
    oq_arena_init(&importing.arena, SIZE_MAX);
    bool ok = find_imports(&importing, given);
    oq_arena_fini(&importing.arena);
    return ok;
}
