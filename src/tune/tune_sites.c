/* Which weights there are to choose a form for: what plans of each form make of them. */
#include <math.h>
#include <string.h>

#include "base/strmap.h"
#include "layers/scope.h"
#include "tune/tuning.h"

struct weight_finder {
    struct oq_tuning *tuning;
    struct oq_strmap owners;  /* label of a node -> that of the node of the main graph */
    struct oq_strmap sites;   /* label in the main graph -> struct number */
    struct oq_strmap groups;  /* text -> struct number */
    struct oq_strmap weights; /* node and weight -> struct number */
    size_t sites_capacity, groups_capacity, weights_capacity;
};

struct number {
    size_t value;
};

static bool fail(const struct weight_finder *finder, onnxq_error *error)
{
    const struct oq_arena *arena = &finder->tuning->arena;
    return oq_arena_fail(arena->failed ? arena : &finder->tuning->tune->arena, error);
}

/* --- nodes of bodies ------------------------------------------------------------- */

static bool find_owners(struct weight_finder *finder, onnxq_error *error)
{
    const onnxq_model *model = finder->tuning->options->model;
    const struct oq_graphs *graphs = &model->graphs;
    struct oq_scope scope;
    if (!oq_scope_init(&scope, model, &finder->tuning->arena, error))
        return false;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++) {
            const char *label = oq_node_label(graphs->list[g]->proto->node[i]);
            void **place = oq_strmap_place(&finder->owners, label);
            if (place == NULL)
                return fail(finder, error);
            if (*place == NULL)
                *place = graphs->list[0]->proto->node[g == 0 ? i : scope.owners[g]];
        }
    return true;
}

/* --- numbers of what has a name --------------------------------------------------- */

/* *is_new: it has the next number, and the caller adds what it stands for. */
static bool number_of(struct weight_finder *finder, struct oq_strmap *map, const char *key,
                      size_t next, size_t *value, bool *is_new)
{
    struct number *number = oq_strmap_find(map, key);
    *is_new = number == NULL;
    if (number == NULL) {
        char *copy = oq_arena_strdup(&finder->tuning->arena, key);
        number = oq_arena_alloc(&finder->tuning->arena, sizeof(*number));
        void **place = copy != NULL && number != NULL ? oq_strmap_place(map, copy) : NULL;
        if (place == NULL)
            return false;
        number->value = next;
        *place = number;
    }
    *value = number->value;
    return true;
}

static bool find_site(struct weight_finder *finder, const onnxq_use *use, size_t *site)
{
    struct oq_tune *tune = finder->tuning->tune;
    const Oq__Pb__NodeProto *owner = oq_strmap_find(&finder->owners, use->node);
    const char *label = owner != NULL ? oq_node_label(owner) : use->node;
    bool is_new;
    if (!number_of(finder, &finder->sites, label, tune->n_sites, site, &is_new))
        return false;
    if (!is_new)
        return true;
    if (!oq_arena_grow(&tune->arena, &tune->sites, tune->n_sites, &finder->sites_capacity,
                       sizeof(*tune->sites)))
        return false;
    struct oq_tune_site *made = &tune->sites[tune->n_sites++];
    *made = (struct oq_tune_site){
        .node = oq_arena_strdup(&tune->arena, label),
        .op_type = oq_arena_strdup(&tune->arena, owner != NULL ? owner->op_type : use->op_type)};
    return made->node != NULL && made->op_type != NULL;
}

/* What a node of the main graph multiplies the weight with. */
static const struct oq_tune_activation *find_activation(const struct weight_finder *finder,
                                                        const onnxq_use *use)
{
    return use->input == 1 ? oq_strmap_find(&finder->tuning->activations, use->node) : NULL;
}

/* "MatMul 1 float32 384 1536"; what is made of an activation once takes several less time each. */
static char *describe_group(struct weight_finder *finder, const onnxq_weight *weight,
                            const onnxq_use *use)
{
    const struct oq_tune_activation *activation = find_activation(finder, use);
    struct oq_arena *arena = &finder->tuning->tune->arena;
    char *text = oq_arena_printf(arena, "%s %zu %s", use->op_type, use->input, weight->dtype);
    for (size_t i = 0; text != NULL && i < weight->n_dims; i++)
        text = oq_arena_printf(arena, "%s %lld", text, (long long)weight->dims[i]);
    if (text != NULL && activation != NULL && activation->n_products > 1)
        text = oq_arena_printf(arena, "%s, 1 of %zu", text, activation->n_products);
    return text;
}

static bool find_group(struct weight_finder *finder, const onnxq_weight *weight,
                       const onnxq_use *use, size_t *group)
{
    struct oq_tune *tune = finder->tuning->tune;
    bool is_new;
    char *text = describe_group(finder, weight, use);
    if (text == NULL || !number_of(finder, &finder->groups, text, tune->n_groups, group, &is_new))
        return false;
    if (!is_new)
        return true;
    if (!oq_arena_grow(&tune->arena, &tune->groups, tune->n_groups, &finder->groups_capacity,
                       sizeof(*tune->groups)))
        return false;
    tune->groups[tune->n_groups++] = (struct oq_tune_group){.name = text};
    return true;
}

/* --- weights ------------------------------------------------------------------------ */

static bool find_weight(struct weight_finder *finder, const onnxq_weight *weight,
                        const onnxq_use *use, struct oq_tune_weight **found)
{
    struct oq_tune *tune = finder->tuning->tune;
    bool is_new;
    size_t number;
    char *key = oq_weight_key(&finder->tuning->arena, use->node, weight->name);
    if (key == NULL || !number_of(finder, &finder->weights, key, tune->n_weights, &number, &is_new))
        return false;
    if (is_new) {
        struct oq_tune_weight made = {.node = oq_arena_strdup(&tune->arena, use->node),
                                      .weight = oq_arena_strdup(&tune->arena, weight->name)};
        if (made.node == NULL || made.weight == NULL || !find_site(finder, use, &made.site) ||
            !find_group(finder, weight, use, &made.group) ||
            !oq_arena_grow(&tune->arena, &tune->weights, tune->n_weights, &finder->weights_capacity,
                           sizeof(made)))
            return false;
        made.activation = find_activation(finder, use);
        made.exists[ONNXQ_FORM_FLOAT] = true;
        made.nbytes[ONNXQ_FORM_FLOAT] = weight->nbytes / weight->n_uses;
        tune->groups[made.group].n_weights++;
        tune->weights[tune->n_weights++] = made;
    }
    *found = &tune->weights[number];
    return true;
}

/* The form of the library that a plan has made of a use. */
static onnxq_form form_of(const onnxq_weight *weight, const onnxq_use *use)
{
    if (strcmp(use->form, "8-bit activations") == 0)
        return ONNXQ_FORM_INTEGERS;
    if (use->action == ONNXQ_FOLD)
        return ONNXQ_FORM_FOLDED;
    if (use->action != ONNXQ_DYNAMIC)
        return ONNXQ_FORM_FLOAT;
    if (weight->block_size == 0)
        return ONNXQ_FORM_INTEGERS;
    return weight->bits == 4 ? ONNXQ_FORM_BLOCKS_4 : ONNXQ_FORM_BLOCKS_8;
}

/* What became of channels stands behind the operator in the words of a plan. */
static bool is_form(const onnxq_weight *weight, const onnxq_use *use, int form)
{
    return form_of(weight, use) == oq_tune_forms[form].form &&
           (!oq_form_has_channels(form) || strchr(use->form, ',') != NULL);
}

static bool note_uses(struct weight_finder *finder, const onnxq_plan *plan, int form)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        for (size_t k = 0; k < weight->n_uses; k++) {
            const onnxq_use *use = &weight->uses[k];
            struct oq_tune_weight *found;
            if (form == ONNXQ_FORM_FLOAT || !is_form(weight, use, form))
                continue;
            if (!find_weight(finder, weight, use, &found))
                return false;
            found->exists[form] = true;
            found->nbytes[form] = weight->nbytes_after / weight->n_uses;
        }
    }
    return true;
}

/* All uses that have a node may be asked for it: those that there are no choices for say why. */
static onnxq_choice *ask_all(const struct weight_finder *finder, const onnxq_plan *plan, int form,
                             size_t *n)
{
    size_t count = 0;
    for (size_t i = 0; i < onnxq_plan_count(plan); i++)
        count += onnxq_plan_get(plan, i)->n_uses;
    onnxq_choice *choices = oq_arena_array(&finder->tuning->arena, count + 1, sizeof(*choices));
    *n = 0;
    for (size_t i = 0; choices != NULL && i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        for (size_t k = 0; k < weight->n_uses; k++)
            choices[(*n)++] = oq_tune_choose(weight->uses[k].node, weight->name,
                                             find_activation(finder, &weight->uses[k]), form);
    }
    return choices;
}

static bool note_form(struct weight_finder *finder, const onnxq_plan *plan, int form,
                      onnxq_error *error)
{
    size_t n;
    onnxq_choice *choices = ask_all(finder, plan, form, &n);
    if (choices == NULL)
        return fail(finder, error);
    onnxq_plan *made =
        oq_trial_plan(finder->tuning, oq_trial_method(finder->tuning), choices, n, error);
    bool ok = made != NULL && (note_uses(finder, made, form) || fail(finder, error));
    onnxq_plan_destroy(made);
    return ok;
}

/* A form exists for a site or a group where it does for some weight of it. */
static void sum_up(struct oq_tune *tune)
{
    for (size_t i = 0; i < tune->n_weights; i++) {
        struct oq_tune_weight *weight = &tune->weights[i];
        for (int form = 0; form < OQ_N_FORMS; form++) {
            const int stored = oq_trial_stored_form(weight, form);
            tune->sites[weight->site].costs[form].exists |= weight->exists[form];
            tune->sites[weight->site].costs[form].nbytes += weight->nbytes[stored];
            tune->groups[weight->group].exists[form] |= weight->exists[form];
            tune->groups[weight->group].ms[form] = form > ONNXQ_FORM_FOLDED ? (double)NAN : 0;
        }
    }
}

bool oq_tuning_find_sites(struct oq_tuning *tuning, onnxq_error *error)
{
    struct weight_finder finder = {.tuning = tuning};
    struct oq_strmap *maps[] = {&finder.owners, &finder.sites, &finder.groups, &finder.weights};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        oq_strmap_init(maps[i], &tuning->arena);
    if (!find_owners(&finder, error))
        return false;
    onnxq_plan *plan = oq_trial_plan(tuning, oq_trial_method(tuning), NULL, 0, error);
    bool ok = plan != NULL;
    for (int form = ONNXQ_FORM_FOLDED; ok && form < OQ_N_FORMS; form++)
        ok = note_form(&finder, plan, form, error);
    onnxq_plan_destroy(plan);
    sum_up(tuning->tune);
    return ok && (tuning->tune->n_weights > 0 ||
                  oq_fail(error, ONNXQ_NOTHING_TO_DO, "there is no weight to choose a form for"));
}
