/* Compares what two profiles say of each operator. */
#include "bench/advice.h"

#include <string.h>

#include "operators/operators.h"

/* Operators that are not known are families of their own. */
static const char *find_family(const char *op_type)
{
    const struct oq_operator *op = oq_operator_named(op_type);
    return op->name[0] != '\0' ? op->family : op_type;
}

/* --- comparing ------------------------------------------------------------------ */

/* All operators of the family together; a profile lists the most expensive first. */
static struct oq_blame compare_family(const struct oq_profile *slow, const struct oq_profile *first,
                                      const char *family)
{
    struct oq_blame blame = {.op_type = "", .first_op_type = "", .slowest = ""};
    for (size_t i = 0; i < slow->n_ops; i++) {
        const struct oq_profile_op *op = &slow->ops[i];
        if (strcmp(find_family(op->op_type), family) != 0)
            continue;
        if (blame.op_type[0] == '\0') {
            blame.op_type = op->op_type;
            blame.slowest = op->slowest;
            blame.advice = oq_flags_text(oq_operator_named(op->op_type)->advice);
        }
        blame.n_nodes += op->n_nodes;
        blame.ms += op->ms;
    }
    for (size_t i = 0; i < first->n_ops; i++) {
        const struct oq_profile_op *op = &first->ops[i];
        if (strcmp(find_family(op->op_type), family) != 0)
            continue;
        if (blame.first_op_type[0] == '\0')
            blame.first_op_type = op->op_type;
        blame.first_ms += op->ms;
    }
    return blame;
}

/* Whether an operator before number `index` belongs to the same family. */
static bool is_repeated(const struct oq_profile *profile, size_t index)
{
    const char *family = find_family(profile->ops[index].op_type);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(find_family(profile->ops[i].op_type), family) == 0)
            return true;
    }
    return false;
}

static double difference(const struct oq_blame *blame)
{
    return blame->ms - blame->first_ms;
}

/* Keeps the list sorted; of a full one the last goes. */
static size_t insert(struct oq_blame *blames, size_t n, const struct oq_blame *blame)
{
    size_t place = n;
    while (place > 0 && difference(&blames[place - 1]) < difference(blame))
        place--;
    if (place == OQ_BLAMES_MAX)
        return n;
    if (n < OQ_BLAMES_MAX)
        n++;
    memmove(&blames[place + 1], &blames[place], (n - 1 - place) * sizeof(*blames));
    blames[place] = *blame;
    return n;
}

size_t oq_find_blames(const struct oq_profile *slow, const struct oq_profile *first,
                      struct oq_blame blames[OQ_BLAMES_MAX])
{
    size_t n = 0;
    double sum = 0;
    for (size_t i = 0; i < slow->n_ops; i++) {
        if (is_repeated(slow, i))
            continue;
        struct oq_blame blame = compare_family(slow, first, find_family(slow->ops[i].op_type));
        if (difference(&blame) <= 0)
            continue;
        sum += difference(&blame);
        n = insert(blames, n, &blame);
    }
    while (n > 0 && difference(&blames[n - 1]) < sum / 20)
        n--;
    return n;
}
