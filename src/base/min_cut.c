/*
 * By augmenting paths: what one node would gain from the first side pays for what others lose by
 * it, through arcs, as far as these carry it. A node that has something left is on the first side,
 * and so is all that can be reached from it.
 */
#include "base/min_cut.h"

/* Arcs lie in pairs, number i and i ^ 1: there and back. */
struct oq_cut_arc {
    size_t to, next; /* next: of those that begin at the same node, plus 1 */
    int64_t room;
};

bool oq_min_cut_init(struct oq_min_cut *cut, size_t n_nodes, size_t max_arcs,
                     struct oq_arena *arena)
{
    *cut = (struct oq_min_cut){.n_nodes = n_nodes, .max_arcs = max_arcs};
    cut->gain = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->gain));
    cut->first = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->first));
    cut->queue = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->queue));
    cut->from = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->from));
    cut->visited = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->visited));
    cut->is_first = oq_arena_array(arena, n_nodes + 1, sizeof(*cut->is_first));
    cut->arcs = oq_arena_array(arena, max_arcs + 1, 2 * sizeof(*cut->arcs));
    return cut->gain != NULL && cut->first != NULL && cut->queue != NULL && cut->from != NULL &&
           cut->visited != NULL && cut->is_first != NULL && cut->arcs != NULL;
}

static int64_t bound(int64_t value)
{
    return value > OQ_CUT_NEVER ? OQ_CUT_NEVER : value < -OQ_CUT_NEVER ? -OQ_CUT_NEVER : value;
}

void oq_min_cut_prefer(struct oq_min_cut *cut, size_t node, int64_t gain)
{
    cut->gain[node] = bound(cut->gain[node] + bound(gain));
}

static void add_half(struct oq_min_cut *cut, size_t arc, size_t from, size_t to, int64_t room)
{
    cut->arcs[arc] = (struct oq_cut_arc){to, cut->first[from], room};
    cut->first[from] = arc + 1;
}

void oq_min_cut_add(struct oq_min_cut *cut, size_t from, size_t to, int64_t cost)
{
    if (cut->n_arcs == cut->max_arcs)
        return;
    const size_t arc = 2 * cut->n_arcs++;
    add_half(cut, arc, from, to, bound(cost));
    add_half(cut, arc + 1, to, from, 0);
}

/* How many arcs all searches may look at. */
#define MAX_STEPS ((size_t)1 << 26)

/*
 * The nearest node that loses, from `start`; n_nodes: none is in reach. queue[0..*n_reached) is
 * what was reached, from[] the arc that led there. Nodes that are decided lead nowhere.
 */
static size_t search(struct oq_min_cut *cut, size_t start, size_t number, size_t *n_reached,
                     size_t *steps)
{
    size_t n = 0;
    cut->queue[n++] = start;
    cut->visited[start] = number;
    for (size_t i = 0; i < n; i++) {
        for (size_t a = cut->first[cut->queue[i]]; a != 0; a = cut->arcs[a - 1].next) {
            const struct oq_cut_arc *arc = &cut->arcs[a - 1];
            ++*steps;
            if (arc->room == 0 || cut->visited[arc->to] == number || cut->is_first[arc->to])
                continue;
            cut->visited[arc->to] = number;
            cut->from[arc->to] = a - 1;
            if (cut->gain[arc->to] < 0)
                return arc->to;
            cut->queue[n++] = arc->to;
        }
    }
    *n_reached = n;
    return cut->n_nodes;
}

/* As much as the path from `start` to `end` carries. */
static void pay(struct oq_min_cut *cut, size_t start, size_t end)
{
    int64_t most = cut->gain[start] < -cut->gain[end] ? cut->gain[start] : -cut->gain[end];
    for (size_t v = end; v != start; v = cut->arcs[cut->from[v] ^ 1].to)
        if (cut->arcs[cut->from[v]].room < most)
            most = cut->arcs[cut->from[v]].room;
    for (size_t v = end; v != start; v = cut->arcs[cut->from[v] ^ 1].to) {
        cut->arcs[cut->from[v]].room -= most;
        cut->arcs[cut->from[v] ^ 1].room += most;
    }
    cut->gain[start] -= most;
    cut->gain[end] += most;
}

bool oq_min_cut_solve(struct oq_min_cut *cut)
{
    size_t number = 0, steps = 0;
    for (size_t start = 0; start < cut->n_nodes; start++) {
        while (cut->gain[start] > 0 && !cut->is_first[start]) {
            size_t n_reached = 0;
            const size_t end = search(cut, start, ++number, &n_reached, &steps);
            if (steps > MAX_STEPS)
                return false;
            if (end < cut->n_nodes)
                pay(cut, start, end);
            for (size_t i = 0; i < n_reached; i++)
                cut->is_first[cut->queue[i]] = true;
        }
    }
    return true;
}
