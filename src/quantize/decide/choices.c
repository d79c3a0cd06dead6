/* What callers have chosen for single sites: each goes by options of its own. */
#include "base/option_values.h"
#include "base/strmap.h"
#include "quantize/decide/steps.h"

/* A form by itself says how a weight is stored; what else the options ask for holds for it, too. */
static void fill_options(onnxq_options *options, onnxq_form form)
{
    switch (form) {
    case ONNXQ_FORM_FLOAT:
        break;
    case ONNXQ_FORM_FOLDED:
        options->method = ONNXQ_METHOD_WEIGHTS;
        break;
    case ONNXQ_FORM_INTEGERS:
        options->force_integer = true;
        break;
    case ONNXQ_FORM_BLOCKS_8:
    case ONNXQ_FORM_BLOCKS_4:
        options->method = ONNXQ_METHOD_BLOCKS;
        options->bits = form == ONNXQ_FORM_BLOCKS_4 ? ONNXQ_BITS_4 : ONNXQ_BITS_8;
        options->force_integer = true;
        break;
    }
}

struct chosen {
    onnxq_form form;
    const struct oq_channel_choice *channels; /* or NULL */
    size_t number;
    bool is_used;
};

static bool index_choices(onnxq_plan *plan, struct oq_strmap *map, struct chosen *chosen,
                          const onnxq_options *given, struct oq_arena *arena, onnxq_error *error)
{
    for (size_t i = 0; i < given->n_choices; i++) {
        const onnxq_choice *choice = &given->choices[i];
        if ((unsigned)choice->form >= OQ_N_PLAIN_FORMS)
            return oq_fail(error, ONNXQ_ERROR_OPTION, "choice number %zu: no form has number %d", i,
                           (int)choice->form);
        char *key = oq_weight_key(arena, choice->node, choice->weight);
        chosen[i] = (struct chosen){.form = choice->form, .number = i};
        if (!oq_plan_add_channels(plan, choice, i, &chosen[i].channels, error))
            return false;
        void **place = key == NULL ? NULL : oq_strmap_place(map, key);
        if (place == NULL)
            return oq_arena_fail(arena, error);
        if (*place != NULL) /* whether there is such a site the later one tells */
            ((struct chosen *)*place)->is_used = true;
        *place = &chosen[i];
    }
    return true;
}

static bool choose(onnxq_plan *plan, const struct oq_strmap *map, onnxq_options *by_form,
                   struct oq_arena *arena, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            struct oq_site *site = &plan->constants[i].sites[k];
            if (site->node == NULL)
                continue;
            char *key = oq_weight_key(arena, oq_node_label(site->node),
                                      oq_constant_label(plan, site->constant));
            if (key == NULL)
                return oq_arena_fail(arena, error);
            struct chosen *chosen = oq_strmap_find(map, key);
            if (chosen == NULL)
                continue;
            site->options = &by_form[chosen->form];
            site->channels = chosen->channels;
            if (!oq_channels_fit(site, chosen->number, error))
                return false;
            site->is_chosen_float = chosen->form == ONNXQ_FORM_FLOAT;
            chosen->is_used = true;
        }
    return true;
}

static bool check_used(const struct chosen *chosen, const onnxq_options *given, onnxq_error *error)
{
    for (size_t i = 0; i < given->n_choices && !given->allow_unmatched; i++)
        if (!chosen[i].is_used)
            return oq_fail(error, ONNXQ_ERROR_OPTION,
                           "choice number %zu: no node \"%s\" takes a weight \"%s\"", i,
                           given->choices[i].node, given->choices[i].weight);
    return true;
}

bool oq_plan_apply_choices(onnxq_plan *plan, const onnxq_options *given, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            plan->constants[i].sites[k].options = &plan->options;
    if (given->n_choices == 0)
        return true;
    struct oq_arena arena;
    struct oq_strmap map;
    oq_arena_init(&arena, plan->arena.budget);
    oq_strmap_init(&map, &arena);
    onnxq_options *by_form = oq_arena_array(&plan->arena, OQ_N_PLAIN_FORMS, sizeof(*by_form));
    struct chosen *chosen = oq_arena_array(&arena, given->n_choices, sizeof(*chosen));
    for (int form = 0; by_form != NULL && form < OQ_N_PLAIN_FORMS; form++) {
        by_form[form] = plan->options;
        fill_options(&by_form[form], (onnxq_form)form);
    }
    bool ok = (by_form != NULL && chosen != NULL) || oq_fail_memory(error);
    ok = ok && index_choices(plan, &map, chosen, given, &arena, error) &&
         choose(plan, &map, by_form, &arena, error) && check_used(chosen, given, error);
    oq_arena_fini(&arena);
    return ok;
}
