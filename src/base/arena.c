/* Blocks of growing size, one behind the other. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* Blocks grow so that a small model costs one page or two and a large one few calls. */
#define FIRST_BLOCK_NBYTES   ((size_t)16 << 10)
#define LARGEST_BLOCK_NBYTES ((size_t)1 << 20)

struct oq_arena_block {
    struct oq_arena_block *next;
    size_t nbytes; /* of data */
    size_t used;
    _Alignas(max_align_t) unsigned char data[];
};

void oq_arena_init(struct oq_arena *arena, size_t budget)
{
    *arena = (struct oq_arena){.budget = budget};
}

void oq_arena_fini(struct oq_arena *arena)
{
    for (struct oq_arena_block *block = arena->head; block != NULL;) {
        struct oq_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->head = NULL;
    arena->allocated = 0;
}

void oq_arena_clear(struct oq_arena *arena)
{
    oq_arena_fini(arena);
    arena->failed = false;
}

static struct oq_arena_block *add_block(struct oq_arena *arena, size_t nbytes)
{
    size_t usual = arena->head == NULL ? FIRST_BLOCK_NBYTES : arena->head->nbytes * 2;
    if (usual > LARGEST_BLOCK_NBYTES)
        usual = LARGEST_BLOCK_NBYTES;
    if (nbytes < usual)
        nbytes = usual;
    if (nbytes > arena->budget - arena->allocated)
        return NULL;
    struct oq_arena_block *block = calloc(1, sizeof(*block) + nbytes);
    if (block == NULL)
        return NULL;
    block->nbytes = nbytes;
    block->next = arena->head;
    arena->head = block;
    arena->allocated += nbytes;
    return block;
}

static void *fail(struct oq_arena *arena)
{
    arena->failed = true;
    return NULL;
}

void *oq_arena_alloc(struct oq_arena *arena, size_t nbytes)
{
    if (nbytes > arena->budget || nbytes > SIZE_MAX - sizeof(struct oq_arena_block) - 16)
        return fail(arena);
    nbytes = (size_t)oq_align_u64(nbytes, sizeof(max_align_t) >= 16 ? 16 : 8);
    struct oq_arena_block *block = arena->head;
    if (block == NULL || nbytes > block->nbytes - block->used)
        block = add_block(arena, nbytes);
    if (block == NULL)
        return fail(arena);
    void *piece = block->data + block->used;
    block->used += nbytes;
    return piece;
}

void *oq_arena_array(struct oq_arena *arena, size_t count, size_t size)
{
    size_t nbytes;
    return oq_mul_size(count, size, &nbytes) ? oq_arena_alloc(arena, nbytes) : fail(arena);
}

char *oq_arena_strdup(struct oq_arena *arena, const char *text)
{
    size_t nbytes = strlen(text) + 1;
    char *copy = oq_arena_alloc(arena, nbytes);
    return copy == NULL ? NULL : memcpy(copy, text, nbytes);
}

char *oq_arena_printf(struct oq_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    char *text = oq_arena_alloc(arena, (size_t)length + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

bool oq_arena_fail(const struct oq_arena *arena, onnxq_error *error)
{
    if (arena->allocated < arena->budget - arena->budget / 4)
        return oq_fail_memory(error);
    return oq_fail(error, ONNXQ_ERROR_MEMORY,
                   "the structure (all but the weights) needs more than the limit of %zu MB",
                   arena->budget >> 20);
}

bool oq_arena_grow(struct oq_arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity == 0 ? 8 : *capacity * 2;
    void *fresh = oq_arena_array(arena, larger, size);
    if (fresh == NULL)
        return false;
    void *old;
    memcpy(&old, items, sizeof(old)); /* items is the address of a typed pointer */
    if (count > 0)
        memcpy(fresh, old, count * size);
    memcpy(items, &fresh, sizeof(fresh));
    *capacity = larger;
    return true;
}
