/*
 * Memory that is given out in pieces and released all at once. A budget turns
 * a hostile file into an error instead of an out-of-memory kill.
 * Not thread-safe: one owner.
 */
#ifndef OQ_BASE_ARENA_H
#define OQ_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct oq_arena_block;

struct oq_arena {
    struct oq_arena_block *head;
    size_t allocated; /* of all blocks */
    size_t budget;
    bool failed; /* it could not give what it was asked for */
};

void oq_arena_init(struct oq_arena *arena, size_t budget);
void oq_arena_fini(struct oq_arena *arena);

/* Releases all that was given out; the budget is whole again. */
void oq_arena_clear(struct oq_arena *arena);

/* nbytes zeroed bytes, aligned for any type; NULL when memory or budget is used up. */
void *oq_arena_alloc(struct oq_arena *arena, size_t nbytes);

/* count elements of `size` bytes each; NULL also where the product overflows. */
void *oq_arena_array(struct oq_arena *arena, size_t count, size_t size);

char *oq_arena_strdup(struct oq_arena *arena, const char *text);
char *oq_arena_printf(struct oq_arena *arena, const char *format, ...) OQ_PRINTF(2, 3);

/* Records that the arena could give no more, budget or memory; returns false. */
bool oq_arena_fail(const struct oq_arena *arena, onnxq_error *error);

/*
 * Makes room for one more element in an array that lives in the arena:
 * *items has *capacity elements of `size` bytes, `count` of them used. The old
 * array is left to the arena. Returns false when memory or budget is used up.
 */
bool oq_arena_grow(struct oq_arena *arena, void *items, size_t count, size_t *capacity,
                   size_t size);

#endif
