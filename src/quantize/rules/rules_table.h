/* The rules that rules.c lists; each is defined in a file of its own. */
#ifndef OQ_QUANTIZE_RULES_RULES_TABLE_H
#define OQ_QUANTIZE_RULES_RULES_TABLE_H

#include "quantize/rules/rules.h"

extern const struct oq_rule oq_rule_any;
extern const struct oq_rule oq_rule_attention;
extern const struct oq_rule oq_rule_conv;
extern const struct oq_rule oq_rule_conv_transpose;
extern const struct oq_rule oq_rule_gather;
extern const struct oq_rule oq_rule_gemm;
extern const struct oq_rule oq_rule_lstm;
extern const struct oq_rule oq_rule_matmul;

#endif
