/*
 * Whether integers are worth their place: a weight's floats leave the file only
 * if nobody needs them, and it may be stored in more than one form.
 *
 * What a tensor weighs that leaves is shared out among the forms in which it is stored,
 * in proportion to what they claim: at first what they cost, less of it where they have
 * more than they need, as what is made of several tensors may have. A form that costs no
 * less than its shares is not worth it, and the operators that would have taken it do
 * without. Then all forms together cost less than what leaves.
 */
#include "quantize/rules/rules.h"

#include "base/checked.h"
#include "quantize/decide/steps.h"

/* What leaves with one tensor, and what is stored of it instead. */
struct holding {
    const struct oq_site *keeper; /* needs its floats; NULL: they leave */
    uint64_t available;           /* bytes that leave, but for what folding it alone takes */
    double claims;                /* of all forms that are stored for it */
};

struct balance {
    onnxq_plan *plan;
    struct holding *holdings; /* [tensors] */
    size_t *next;             /* [tensors]: another one that depends on it; the last one: itself */
    bool *is_refused;         /* [tensors]: for the last one, whether something of them is */
};

const struct oq_site *oq_plan_find_releaser(const onnxq_plan *plan, const struct oq_site *site)
{
    if (site->action != ONNXQ_KEEP || site->graph == NULL || site->node == NULL)
        return NULL;
    const struct oq_site *product = plan->products[site->graph->ordinal][site->node_index];
    bool releases = product != NULL && product->rule->releases != NULL &&
                    product->rule->releases(plan, product, site->input);
    return releases ? product : NULL;
}

const struct oq_site *oq_plan_find_keeper(const onnxq_plan *plan,
                                          const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_KEEP && !constant->sites[i].is_rewritten &&
            oq_plan_find_releaser(plan, &constant->sites[i]) == NULL)
            return &constant->sites[i];
    return NULL;
}

static const char *describe_keeper(struct oq_arena *arena, const struct oq_site *keeper)
{
    if (keeper->node != NULL)
        return oq_arena_printf(arena, "%s \"%s\" takes it as it is", keeper->op_type,
                               oq_node_label(keeper->node));
    return keeper->graph != NULL ? "the graph returns it" : "it is used where nothing is replaced";
}

const char *oq_plan_describe_keeper(const onnxq_plan *plan, struct oq_arena *arena,
                                    const struct oq_constant *constant)
{
    const struct oq_site *keeper = oq_plan_find_keeper(plan, constant);
    return keeper == NULL ? NULL : describe_keeper(arena, keeper);
}

static uint64_t nbytes_of(const struct oq_quantized *q)
{
    return oq_quantized_nbytes(q) + q->beside_nbytes;
}

/* --- what there is --- */

static bool is_product(const struct oq_site *site)
{
    return site->action == ONNXQ_DYNAMIC && site->through == NULL;
}

/* Rules that write the same beside the same integers share it, for each factor. */
static bool count_site(const onnxq_plan *plan, struct oq_strmap *shared, const struct oq_site *site)
{
    struct oq_quantized *q = site->quantized;
    bool multiplies = is_product(site) && site->rule->is_product;
    const char *key = oq_arena_printf(shared->arena, "%p %p %a", (const void *)q,
                                      multiplies ? (const void *)site->rule : NULL,
                                      multiplies ? (double)site->factor : 1);
    void **place = key == NULL ? NULL : oq_strmap_place(shared, key);
    if (place == NULL)
        return false;
    q->n_products += is_product(site);
    q->beside_nbytes += *place == NULL ? oq_site_beside_nbytes(plan, site) : site->beside_nbytes;
    *place = q;
    return true;
}

static bool count_sites(onnxq_plan *plan, struct oq_arena *arena)
{
    struct oq_strmap shared;
    oq_strmap_init(&shared, arena);
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next) {
            q->n_products = q->beside_nbytes = 0;
            q->claim = 1;
        }
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            const struct oq_site *site = &plan->constants[i].sites[k];
            if (site->quantized != NULL && !count_site(plan, &shared, site))
                return false;
        }
    return true;
}

/* Integers that nothing but folding needs; they may yet get 16 bits. */
static uint64_t fold_nbytes(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_quantized *fold = constant->fold;
    if (fold == NULL || fold->n_products > 0)
        return 0;
    uint64_t nbytes = nbytes_of(fold);
    return oq_plan_may_widen(plan, constant) && !fold->is_wide ? 2 * nbytes : nbytes;
}

static struct holding make_holding(const onnxq_plan *plan, const struct oq_constant *constant)
{
    struct holding holding = {.keeper = oq_plan_find_keeper(plan, constant)};
    uint64_t fold = fold_nbytes(plan, constant), nbytes = constant->tensor->nbytes;
    holding.available = holding.keeper != NULL || fold >= nbytes ? 0 : nbytes - fold;
    return holding;
}

/* What is only folded was weighed by itself. */
static bool is_form(const struct oq_quantized *q)
{
    return q->n_products > 0 && q->refusal == NULL;
}

/* A form's claim on the tensor of one of its stretches. */
static double claim_of(const struct oq_quantized *q, const struct oq_span *span)
{
    return q->claim * (double)nbytes_of(q) * (double)span->nelem / (double)q->ranges->source->nelem;
}

static struct holding *holding_of(const struct balance *balance, const struct oq_span *span)
{
    return &balance->holdings[span->tensor->ordinal];
}

/* sign 1: the form is stored; -1: it is not, after all. */
static void count_form(const struct balance *balance, const struct oq_quantized *q, int sign)
{
    const struct oq_source *source = q->ranges->source;
    for (size_t i = 0; i < source->n_spans; i++) {
        struct holding *holding = holding_of(balance, &source->spans[i]);
        holding->claims += sign * claim_of(q, &source->spans[i]);
    }
}

/* Its shares of what leaves. */
static double worth_of(const struct balance *balance, const struct oq_quantized *q)
{
    const struct oq_source *source = q->ranges->source;
    double worth = 0;
    for (size_t i = 0; i < source->n_spans; i++) {
        const struct holding *holding = holding_of(balance, &source->spans[i]);
        worth += (double)holding->available * claim_of(q, &source->spans[i]) / holding->claims;
    }
    return worth;
}

static bool is_worth_it(const struct balance *balance, const struct oq_quantized *q)
{
    return (double)nbytes_of(q) < worth_of(balance, q);
}

static void make_holdings(const struct balance *balance)
{
    const onnxq_plan *plan = balance->plan;
    for (size_t i = 0; i < plan->model->n_tensors; i++)
        balance->holdings[i] = make_holding(plan, &plan->constants[i]);
}

static void count_forms(const struct balance *balance)
{
    const onnxq_plan *plan = balance->plan;
    for (size_t i = 0; i < plan->model->n_tensors; i++)
        balance->holdings[i].claims = 0;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next)
            if (is_form(q))
                count_form(balance, q, 1);
}

/* Of those that have more than they need; true where another has less. */
static bool lower_claims(const struct balance *balance)
{
    const onnxq_plan *plan = balance->plan;
    bool lacks = false;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next) {
            if (!is_form(q))
                continue;
            double worth = worth_of(balance, q), cost = (double)nbytes_of(q);
            if (cost < worth)
                q->claim *= cost / worth;
            else
                lacks = true;
        }
    return lacks;
}

/*
 * A form that lowers its claims by what it has too much keeps enough: others on the same tensors
 * have lowered theirs as well, or get no more than it leaves. What one tensor gives goes at once,
 * the rest in ever smaller parts.
 */
#define MAX_LOWERINGS 16

static void share_out(const struct balance *balance)
{
    bool lacks = true;
    make_holdings(balance);
    count_forms(balance);
    for (unsigned i = 0; i < MAX_LOWERINGS && lacks; i++) {
        lacks = lower_claims(balance);
        count_forms(balance);
    }
}

/* --- what is not worth it --- */

static const char *find_refusal(const struct balance *balance, const struct oq_source *source)
{
    for (size_t i = 0; i < source->n_spans; i++) {
        const struct oq_site *keeper = holding_of(balance, &source->spans[i])->keeper;
        if (keeper != NULL)
            return describe_keeper(&balance->plan->arena, keeper);
    }
    return "not smaller beside the other forms in which it is stored";
}

/* Operators that take no blocks have a copy of it, which all can be folded from. */
static bool has_copy(const struct oq_constant *constant)
{
    const struct oq_quantized *q = constant->quantized;
    while (q != NULL && (q->blocks != NULL || q->n_products > 0))
        q = q->next;
    return q != NULL;
}

static const char *describe_folder(onnxq_plan *plan, const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        if (site->action == ONNXQ_FOLD)
            return oq_arena_printf(&plan->arena, "stored once, folded for %s \"%s\"", site->op_type,
                                   oq_node_label(site->node));
    }
    return "stored once, folded for another operator";
}

static bool refuse_form(struct balance *balance, struct oq_quantized *q, const char *reason)
{
    q->refusal = reason;
    count_form(balance, q, -1);
    return reason != NULL;
}

/* What is made of tensors is refused first: the tensors themselves are stored for more users. */
static bool refuse_forms(struct balance *balance, bool *any)
{
    const onnxq_plan *plan = balance->plan;
    for (size_t i = plan->n_constants; i-- > 0;) {
        const struct oq_constant *constant = &plan->constants[i];
        for (struct oq_quantized *q = constant->quantized; q != NULL; q = q->next) {
            bool is_second = q->blocks != NULL && has_copy(constant);
            if (q->blocks != NULL && q->blocks->choice.import != NULL) /* it is asked for */
                continue;
            if (!is_form(q) || (is_worth_it(balance, q) && !is_second))
                continue;
            *any = true;
            if (!refuse_form(balance, q,
                             is_second ? describe_folder(balance->plan, constant)
                                       : find_refusal(balance, &constant->source)))
                return false;
        }
    }
    return true;
}

/* --- what depends on it --- */

/* Halves the way while it goes it. */
static size_t find_last(size_t *next, size_t i)
{
    while (next[i] != i)
        i = next[i] = next[next[i]];
    return i;
}

/* What has no elements has no stretches. */
static size_t tensor_of(const struct oq_constant *constant)
{
    return constant->source.n_spans == 0 ? SIZE_MAX : constant->source.spans[0].tensor->ordinal;
}

static void join(size_t *next, size_t a, size_t b)
{
    if (a != SIZE_MAX && b != SIZE_MAX)
        next[find_last(next, b)] = find_last(next, a);
}

/* Those of which one is made, those stored as one, the weights of one operator, and its bias. */
static void join_constant(const struct balance *balance, const struct oq_constant *constant)
{
    const size_t first = tensor_of(constant);
    for (size_t i = 1; i < constant->source.n_spans; i++)
        join(balance->next, first, constant->source.spans[i].tensor->ordinal);
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i], *partner, *releaser;
        if ((releaser = oq_plan_find_releaser(balance->plan, site)) != NULL)
            join(balance->next, first, tensor_of(releaser->constant));
        if (site->quantized != NULL)
            join(balance->next, first, tensor_of(site->quantized->ranges->constant));
        if (site->rule != NULL && site->rule->partner != NULL && site->node != NULL &&
            (partner = oq_plan_sibling(balance->plan, site, site->rule->partner(site->input))))
            join(balance->next, first, tensor_of(partner->constant));
    }
}

static bool find_dependents(struct balance *balance, struct oq_arena *arena)
{
    const onnxq_plan *plan = balance->plan;
    const size_t n = plan->model->n_tensors;
    balance->next = oq_arena_array(arena, n + 1, sizeof(*balance->next));
    balance->is_refused = oq_arena_array(arena, n + 1, sizeof(*balance->is_refused));
    if (balance->next == NULL || balance->is_refused == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        balance->next[i] = i;
    for (size_t i = 0; i < plan->n_constants; i++)
        join_constant(balance, &plan->constants[i]);
    return true;
}

static void mark_refused(struct balance *balance)
{
    const onnxq_plan *plan = balance->plan;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next)
            if (q->refusal != NULL)
                balance->is_refused[find_last(balance->next, tensor_of(&plan->constants[i]))] =
                    true;
}

static bool refuse_dependents(struct balance *balance, struct oq_arena *arena)
{
    const onnxq_plan *plan = balance->plan;
    if (!find_dependents(balance, arena))
        return false;
    mark_refused(balance);
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next)
            if (is_form(q) &&
                balance->is_refused[find_last(balance->next, tensor_of(&plan->constants[i]))])
                refuse_form(balance, q, "too many weights depend on each other");
    return true;
}

static void refuse_sites(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            struct oq_site *site = &plan->constants[i].sites[k];
            if (is_product(site))
                site->refusal = site->quantized->refusal;
        }
}

bool oq_plan_balance(onnxq_plan *plan, bool strictly, bool *any, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    struct balance balance = {.plan = plan};
    *any = false;
    balance.holdings =
        oq_arena_array(&arena, plan->model->n_tensors + 1, sizeof(*balance.holdings));
    bool ok = false;
    if (balance.holdings == NULL) {
        oq_fail_memory(error);
    } else if (!count_sites(plan, &arena)) {
        oq_arena_fail(&arena, error);
    } else {
        share_out(&balance);
        ok = refuse_forms(&balance, any) || oq_arena_fail(&plan->arena, error);
        if (ok && *any && strictly)
            ok = refuse_dependents(&balance, &arena) || oq_fail_memory(error);
        refuse_sites(plan);
    }
    oq_arena_fini(&arena);
    return ok;
}
