/* Rows of a table that is stored in blocks. */
#ifndef OQ_QUANTIZE_RULES_GATHER_H
#define OQ_QUANTIZE_RULES_GATHER_H

#include "quantize/rules/rules.h"

/* rules/blocks.c: under ONNXQ_METHOD_BLOCKS, turns what was decided for a table into blocks. */
void oq_gather_choose_blocks(const onnxq_plan *plan, struct oq_site *site);

#endif
