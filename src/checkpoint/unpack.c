/* Integers out of int32, in the orders of GPTQ and AWQ. */
#include "checkpoint/unpack.h"

#include <string.h>

#include "base/checked.h"

#define WORD_NBITS 32u

/* Of eight columns in a word, where AWQ has each. */
static const unsigned awq_places[] = {0, 4, 1, 5, 2, 6, 3, 7};

/* Row `row` of a matrix that is packed along its rows. */
static bool read_packed_row(const struct oq_module *module, const struct oq_stored *stored,
                            uint64_t row, uint64_t column, size_t n, uint8_t *dst,
                            onnxq_error *error)
{
    uint32_t words[OQ_UNPACK_MAX_COLUMNS + 1];
    const unsigned bits = module->bits, per_word = WORD_NBITS / bits;
    const bool is_awq = module->packing == OQ_PACKING_AWQ;
    const uint64_t first = column / per_word, last = (column + n - 1) / per_word;
    if (!oq_stored_read_ints(stored, row * stored->dims[1] + first, (size_t)(last - first + 1),
                             words, error))
        return false;
    for (size_t i = 0; i < n; i++) {
        const unsigned place = (unsigned)((column + i) % per_word);
        const unsigned shift = bits * (is_awq ? awq_places[place] : place);
        dst[i] = (uint8_t)(words[(column + i) / per_word - first] >> shift & ((1u << bits) - 1));
    }
    return true;
}

/* Rows that share words, from number `row` on in the module's own order, as many as are wanted. */
static bool read_packed_columns(const struct oq_module *module, uint64_t row, size_t n_rows,
                                uint64_t column, size_t n, uint8_t *dst, onnxq_error *error)
{
    uint32_t words[OQ_UNPACK_MAX_COLUMNS];
    const unsigned bits = module->bits, per_word = WORD_NBITS / bits;
    if (!oq_stored_read_ints(module->weight, row / per_word * module->columns + column, n, words,
                             error))
        return false;
    for (size_t k = 0; k < n_rows; k++) {
        const unsigned shift = bits * (unsigned)((row + k) % per_word);
        for (size_t i = 0; i < n; i++)
            dst[k * n + i] = (uint8_t)(words[i] >> shift & ((1u << bits) - 1));
    }
    return true;
}

/* Of rows from `row` on, those that one word has. */
static size_t count_together(const struct oq_unpack *unpack, uint64_t row, size_t n_rows)
{
    const unsigned per_word = WORD_NBITS / unpack->module->bits;
    if (unpack->order != NULL || unpack->module->packing == OQ_PACKING_AWQ)
        return 1;
    return (size_t)oq_min_u64(n_rows, per_word - row % per_word);
}

bool oq_unpack_codes(const struct oq_unpack *unpack, uint64_t row, size_t n_rows, uint64_t column,
                     size_t n, uint8_t *codes, onnxq_error *error)
{
    const struct oq_module *module = unpack->module;
    for (size_t done = 0, part; done < n_rows; done += part) {
        uint64_t at = unpack->order == NULL ? row + done : (uint64_t)unpack->order[row + done];
        part = count_together(unpack, row + done, n_rows - done);
        bool ok =
            module->packing == OQ_PACKING_AWQ
                ? read_packed_row(module, module->weight, at, column, n, codes + done * n, error)
                : read_packed_columns(module, at, part, column, n, codes + done * n, error);
        if (!ok)
            return false;
    }
    return true;
}

bool oq_unpack_zeros(const struct oq_unpack *unpack, uint64_t group, uint64_t column, size_t n,
                     uint8_t *zeros, onnxq_error *error)
{
    if (!read_packed_row(unpack->module, unpack->module->zeros, group, column, n, zeros, error))
        return false;
    for (size_t i = 0; i < n; i++)
        zeros[i] = (uint8_t)(zeros[i] + unpack->zero_offset);
    return true;
}

bool oq_unpack_scales(const struct oq_unpack *unpack, uint64_t group, uint64_t column, size_t n,
                      float *scales, onnxq_error *error)
{
    const struct oq_stored *stored = unpack->module->scales;
    return oq_stored_read_floats(stored, group * stored->dims[1] + column, n, scales, error);
}

/* The smallest and the largest of all zero points as they are stored. */
static bool find_extremes(const struct oq_unpack *unpack, uint8_t *least, uint8_t *most,
                          onnxq_error *error)
{
    const struct oq_module *module = unpack->module;
    uint8_t zeros[OQ_UNPACK_MAX_COLUMNS];
    *least = UINT8_MAX;
    *most = 0;
    for (uint64_t group = 0; group < module->n_groups; group++)
        for (uint64_t column = 0, n; column < module->columns; column += n) {
            n = oq_min_u64(module->columns - column, OQ_UNPACK_MAX_COLUMNS);
            if (!read_packed_row(module, module->zeros, group, column, (size_t)n, zeros, error))
                return false;
            for (uint64_t i = 0; i < n; i++) {
                *least = zeros[i] < *least ? zeros[i] : *least;
                *most = zeros[i] > *most ? zeros[i] : *most;
            }
        }
    return true;
}

bool oq_unpack_find_zeros(struct oq_unpack *unpack, bool *all_in_the_middle, bool *fits,
                          onnxq_error *error)
{
    const struct oq_module *module = unpack->module;
    const unsigned middle = 1u << (module->bits - 1);
    uint8_t least, most;
    if (!find_extremes(unpack, &least, &most, error))
        return false;
    unpack->zero_offset = module->packing == OQ_PACKING_GPTQ;
    /* Some writers of the second format call it the first one (vLLM, pull request 38966). */
    if (module->packing == OQ_PACKING_GPTQ && least == middle && most == middle)
        unpack->zero_offset = 0;
    *all_in_the_middle =
        least + unpack->zero_offset == middle && most + unpack->zero_offset == middle;
    *fits = most + unpack->zero_offset < 1u << module->bits;
    return true;
}

bool oq_unpack_read_groups(const struct oq_module *module, int32_t *groups, onnxq_error *error)
{
    const size_t n = (size_t)module->rows;
    for (size_t done = 0, part; done < n; done += part) {
        uint32_t words[OQ_UNPACK_MAX_COLUMNS];
        part = (size_t)oq_min_u64(n - done, OQ_UNPACK_MAX_COLUMNS);
        if (!oq_stored_read_ints(module->groups, done, part, words, error))
            return false;
        memcpy(groups + done, words, part * sizeof(*groups));
    }
    return true;
}
