#include "base/strmap.h"

#include <string.h>

/* FNV-1a, 64 bits (Fowler, Noll, Vo), with the high bits mixed into the index bits. */
static uint64_t hash_string(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

void oq_strmap_init(struct oq_strmap *map, struct oq_arena *arena)
{
    *map = (struct oq_strmap){.arena = arena};
}

/* The slot that holds key, or the free one where it belongs; capacity > count. */
static struct oq_strmap_slot *probe(struct oq_strmap_slot *slots, size_t capacity, const char *key,
                                    uint64_t hash)
{
    size_t i = (size_t)hash & (capacity - 1);
    while (slots[i].key != NULL && (slots[i].hash != hash || strcmp(slots[i].key, key) != 0))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

void *oq_strmap_find(const struct oq_strmap *map, const char *key)
{
    if (map->capacity == 0)
        return NULL;
    return probe(map->slots, map->capacity, key, hash_string(key))->value;
}

static bool grow(struct oq_strmap *map)
{
    size_t capacity = map->capacity == 0 ? 16 : map->capacity * 2;
    struct oq_strmap_slot *slots = oq_arena_array(map->arena, capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key != NULL)
            *probe(slots, capacity, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

void **oq_strmap_place(struct oq_strmap *map, const char *key)
{
    /* At most three quarters full, so that probes stay short. */
    if (map->count >= map->capacity - map->capacity / 4 && !grow(map))
        return NULL;
    uint64_t hash = hash_string(key);
    struct oq_strmap_slot *slot = probe(map->slots, map->capacity, key, hash);
    if (slot->key == NULL) {
        slot->key = key;
        slot->hash = hash;
        map->count++;
    }
    return &slot->value;
}
