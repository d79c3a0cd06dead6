/*
 * A weight that others have quantized, as MatMulNBits takes it: [columns, blocks, block bytes].
 * Blocks are parts of the groups that share a scale in the checkpoint; what is written are its own
 * integers, zero points and scales. They are read when they are written.
 */
#ifndef OQ_QUANTIZE_NUMBERS_IMPORTED_H
#define OQ_QUANTIZE_NUMBERS_IMPORTED_H

#include "checkpoint/unpack.h"
#include "edit/draft.h"

struct oq_blocks;
struct oq_block_scales;

struct oq_import {
    struct oq_unpack numbers; /* rows in the order in which blocks have them */
    const int32_t *groups;    /* [rows], of the module's own order; NULL: as rows follow */
    uint64_t block_size;
    bool has_zero_points; /* not all are in the middle */
};

/* Rows that follow each other in a block, a power of two that divides groups; 0: there is none. */
uint64_t oq_import_block_size(const struct oq_module *module);

/* The group of block number `block` of a column. */
static inline uint64_t oq_import_group(const struct oq_import *import, uint64_t block)
{
    const struct oq_module *module = import->numbers.module;
    return module->n_groups == 1 ? 0 : block / (module->group_size / import->block_size);
}

/* `blocks` have been made of the import's choice. */
struct oq_recipe oq_import_integers(const struct oq_blocks *blocks);
struct oq_recipe oq_import_scales(const struct oq_block_scales *scales);
struct oq_recipe oq_import_zero_points(const struct oq_blocks *blocks);

#endif
