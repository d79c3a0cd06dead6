/* The cheapest division of nodes, against all divisions there are. */

#include "base/min_cut.h"
#include "support/suite.h"

#define MAX_NODES 8
#define MAX_ARCS  24

struct problem {
    size_t n_nodes, n_arcs;
    int64_t gain[MAX_NODES];
    struct {
        size_t from, to;
        int64_t cost;
    } arcs[MAX_ARCS];
};

/* What is lost by a division: a bit set is the first side. */
static int64_t loss_of(const struct problem *problem, unsigned division)
{
    int64_t loss = 0;
    for (size_t i = 0; i < problem->n_nodes; i++) {
        const bool is_first = (division >> i & 1) != 0;
        if (is_first != (problem->gain[i] > 0))
            loss += problem->gain[i] < 0 ? -problem->gain[i] : problem->gain[i];
    }
    for (size_t i = 0; i < problem->n_arcs; i++)
        if ((division >> problem->arcs[i].from & 1) != 0 &&
            (division >> problem->arcs[i].to & 1) == 0)
            loss += problem->arcs[i].cost;
    return loss;
}

static unsigned solve(const struct problem *problem)
{
    struct oq_arena arena;
    struct oq_min_cut cut;
    unsigned division = 0;
    oq_arena_init(&arena, SIZE_MAX);
    assert_true(oq_min_cut_init(&cut, problem->n_nodes, problem->n_arcs, &arena));
    for (size_t i = 0; i < problem->n_nodes; i++)
        oq_min_cut_prefer(&cut, i, problem->gain[i]);
    for (size_t i = 0; i < problem->n_arcs; i++)
        oq_min_cut_add(&cut, problem->arcs[i].from, problem->arcs[i].to, problem->arcs[i].cost);
    assert_true(oq_min_cut_solve(&cut));
    for (size_t i = 0; i < problem->n_nodes; i++)
        division |= (unsigned)cut.is_first[i] << i;
    oq_arena_fini(&arena);
    return division;
}

static uint32_t draw(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525U + 1013904223U;
    return (*state >> 8) % n;
}

static void test_best(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int trial = 0; trial < 2000; trial++) {
        struct problem problem = {.n_nodes = 1 + draw(&seed, MAX_NODES)};
        problem.n_arcs = problem.n_nodes < 2 ? 0 : draw(&seed, MAX_ARCS);
        for (size_t i = 0; i < problem.n_nodes; i++)
            problem.gain[i] = (int64_t)draw(&seed, 41) - 20;
        for (size_t i = 0; i < problem.n_arcs; i++) {
            problem.arcs[i].from = draw(&seed, (uint32_t)problem.n_nodes);
            problem.arcs[i].to = draw(&seed, (uint32_t)problem.n_nodes);
            problem.arcs[i].cost = draw(&seed, 8) == 0 ? OQ_CUT_NEVER : draw(&seed, 20);
        }
        int64_t least = INT64_MAX;
        for (unsigned division = 0; division < 1U << problem.n_nodes; division++) {
            int64_t loss = loss_of(&problem, division);
            least = loss < least ? loss : least;
        }
        assert_int_equal(loss_of(&problem, solve(&problem)), least);
    }
}

/* What must be on a side is, whatever it costs; and what is worth nothing is on the second. */
static void test_pinned(void **state)
{
    (void)state;
    const struct problem problem = {.n_nodes = 4,
                                    .n_arcs = 2,
                                    .gain = {OQ_CUT_NEVER, -5, -OQ_CUT_NEVER, 0},
                                    .arcs = {{0, 1, OQ_CUT_NEVER}, {1, 2, 100}}};
    assert_int_equal(solve(&problem), 0x3);
}

int main(void)
{
    TEST(test_best);
    TEST(test_pinned);
    return suite_run();
}
