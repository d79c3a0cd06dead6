/*
 * A map from strings to pointers that lives in an arena: it grows, nothing is
 * ever removed, and keys are borrowed. Not thread-safe while it is filled.
 */
#ifndef OQ_BASE_STRMAP_H
#define OQ_BASE_STRMAP_H

#include "base/arena.h"

struct oq_strmap_slot {
    const char *key; /* NULL: free */
    void *value;
    uint64_t hash;
};

struct oq_strmap {
    struct oq_arena *arena;
    struct oq_strmap_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
    uint64_t key[2]; /* of the hash */
};

void oq_strmap_init(struct oq_strmap *map, struct oq_arena *arena);

/* Room for that many keys, so that nothing moves until there are more; false: memory is out. */
bool oq_strmap_reserve(struct oq_strmap *map, size_t count);

/* The value of key, or NULL. */
void *oq_strmap_find(const struct oq_strmap *map, const char *key);

/*
 * The place of key's value, made and set to NULL where the key is new; NULL
 * only when the arena is used up. The place moves with the next insertion.
 */
void **oq_strmap_place(struct oq_strmap *map, const char *key);

#endif
