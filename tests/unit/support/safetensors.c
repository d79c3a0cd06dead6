/* GPTQ's and AWQ's packing, number by number, as checkpoint.h describes it. */
#include "support/safetensors.h"

#include <stdio.h>
#include <string.h>

void test_write_safetensors(const char *name, const char *header, size_t data_nbytes)
{
    const size_t n = strlen(header);
    uint8_t *bytes = test_alloc(8 + n + data_nbytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data_nbytes; i++)
        bytes[8 + n + i] = (uint8_t)i;
    test_write_file(test_path(name), bytes, 8 + n + data_nbytes);
}

static unsigned next_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void draw(struct test_module *module)
{
    const size_t n_groups = (module->rows + module->group_size - 1) / module->group_size;
    const unsigned top = 1u << module->bits;
    uint32_t seed = 7;
    module->codes = test_alloc(module->rows * module->columns);
    module->zeros = test_alloc(n_groups * module->columns);
    module->scales = test_alloc(n_groups * module->columns * sizeof(float));
    module->groups = test_alloc(module->rows * sizeof(size_t));
    for (size_t i = 0; i < module->rows * module->columns; i++)
        module->codes[i] = (uint8_t)(next_number(&seed) % top);
    for (size_t i = 0; i < n_groups * module->columns; i++) {
        module->zeros[i] =
            (uint8_t)(module->is_symmetric ? top / 2 : 1 + next_number(&seed) % (top - 1));
        module->scales[i] = 0.001f * (float)(1 + next_number(&seed) % 100);
    }
    for (size_t k = 0; k < module->rows; k++) /* 7 has no divisor in common with the rows */
        module->groups[module->has_order ? k * 7 % module->rows : k] = k / module->group_size;
}

/* Puts number i of a line of words that begins at `words`. */
static void put(uint32_t *words, size_t i, unsigned bits, bool is_awq, unsigned number)
{
    static const size_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
    size_t per_word = 32 / bits, place = i % per_word, at = place;
    for (size_t k = 0; is_awq && k < 8; k++)
        if (order[k] == place)
            at = k;
    words[i / per_word] |= number << (bits * at);
}

static void put_codes(const struct test_module *module, uint32_t *words)
{
    const size_t per_word = 32 / module->bits;
    for (size_t k = 0; k < module->rows; k++)
        for (size_t n = 0; n < module->columns; n++) {
            const unsigned code = module->codes[k * module->columns + n];
            if (module->is_awq)
                put(words + k * (module->columns / per_word), n, module->bits, true, code);
            else
                words[k / per_word * module->columns + n] |= code
                                                             << (module->bits * (k % per_word));
        }
}

void test_write_module(struct test_module *module, const char *name)
{
    draw(module);
    const size_t per_word = 32 / module->bits, n = module->columns;
    const size_t n_groups = (module->rows + module->group_size - 1) / module->group_size;
    const size_t n_weight = module->rows * n / per_word, n_zeros = n_groups * n / per_word;
    const size_t n_scales = n_groups * n;
    const size_t ends[] = {4 * n_weight, 4 * (n_weight + n_zeros),
                           4 * (n_weight + n_zeros + n_scales),
                           4 * (n_weight + n_zeros + n_scales + module->rows)};
    const char *header = test_printf(
        "{\"%s.qweight\":{\"dtype\":\"I32\",\"shape\":[%zu,%zu],\"data_offsets\":[0,%zu]},"
        "\"%s.qzeros\":{\"dtype\":\"I32\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]},"
        "\"%s.scales\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]},"
        "\"%s.g_idx\":{\"dtype\":\"I32\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}}",
        module->name, module->is_awq ? module->rows : module->rows / per_word,
        module->is_awq ? n / per_word : n, ends[0], module->name, n_groups, n / per_word, ends[0],
        ends[1], module->name, n_groups, n, ends[1], ends[2], module->name, module->rows, ends[2],
        ends[3]);
    const size_t n_header = strlen(header);
    uint8_t *bytes = test_alloc(8 + n_header + ends[3]);
    uint32_t *words = test_alloc(ends[3]);
    put_codes(module, words);
    for (size_t g = 0; g < n_groups; g++)
        for (size_t i = 0; i < n; i++)
            put(words + n_weight + g * (n / per_word), i, module->bits, module->is_awq,
                module->zeros[g * n + i] - (unsigned)module->stores_less);
    memcpy(words + n_weight + n_zeros, module->scales, n_scales * sizeof(float));
    for (size_t k = 0; k < module->rows; k++)
        words[n_weight + n_zeros + n_scales + k] = (uint32_t)module->groups[k];
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n_header >> (8 * i));
    memcpy(bytes + 8, header, n_header);
    memcpy(bytes + 8 + n_header, words, ends[3]);
    test_write_file(test_path(name), bytes, 8 + n_header + ends[3]);
}
