/* Open addressing with linear probing, seeded hashes. */
#include "base/strmap.h"

#include <string.h>

#include "base/os.h"

#define FIRST_CAPACITY 16

/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012) with a key of chance: nobody can
 * write a model whose names all fall into one slot. The order of slots is
 * never seen, so that results do not depend on the key.
 */
struct sip {
    uint64_t v[4];
};

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(struct sip *sip)
{
    uint64_t *v = sip->v;
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_string(const struct oq_strmap *map, const char *key)
{
    struct sip sip = {{map->key[0] ^ 0x736f6d6570736575, map->key[1] ^ 0x646f72616e646f6d,
                       map->key[0] ^ 0x6c7967656e657261, map->key[1] ^ 0x7465646279746573}};
    size_t length = strlen(key);
    for (size_t at = 0; at <= length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, key + at, length - at < 8 ? length - at : 8);
        if (length - at < 8)
            word |= (uint64_t)length << 56;
        sip.v[3] ^= word;
        sip_round(&sip);
        sip.v[0] ^= word;
    }
    sip.v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&sip);
    return sip.v[0] ^ sip.v[1] ^ sip.v[2] ^ sip.v[3];
}

void oq_strmap_init(struct oq_strmap *map, struct oq_arena *arena)
{
    *map = (struct oq_strmap){.arena = arena};
}

/* Only where it is needed: there may be very many graphs whose maps stay empty. */
static void draw_key(struct oq_strmap *map)
{
    /* Without a source of chance the addresses of this process have to do. */
    if (!oq_os_random(map->key, sizeof(map->key)))
        map->key[0] = (uint64_t)(uintptr_t)map ^ (uint64_t)(uintptr_t)&oq_strmap_init << 20;
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
    return probe(map->slots, map->capacity, key, hash_string(map, key))->value;
}

static bool set_capacity(struct oq_strmap *map, size_t capacity)
{
    struct oq_strmap_slot *slots = oq_arena_array(map->arena, capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    if (map->capacity == 0)
        draw_key(map);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key != NULL)
            *probe(slots, capacity, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

/* At most three quarters full, so that probes stay short. */
static size_t usable(size_t capacity)
{
    return capacity - capacity / 4;
}

bool oq_strmap_reserve(struct oq_strmap *map, size_t count)
{
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity;
    while (usable(capacity) < count && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    return count <= usable(map->capacity) || set_capacity(map, capacity);
}

void **oq_strmap_place(struct oq_strmap *map, const char *key)
{
    if (!oq_strmap_reserve(map, map->count + 1))
        return NULL;
    uint64_t hash = hash_string(map, key);
    struct oq_strmap_slot *slot = probe(map->slots, map->capacity, key, hash);
    if (slot->key == NULL) {
        slot->key = key;
        slot->hash = hash;
        map->count++;
    }
    return &slot->value;
}
