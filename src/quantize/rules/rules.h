/*
 * One rule per operator: which inputs are weights, what can be done with each,
 * and how that is written. To add an operator: a file in rules/, a line in the
 * table of rules.c, a test.
 */
#ifndef OQ_QUANTIZE_RULES_RULES_H
#define OQ_QUANTIZE_RULES_RULES_H

#include "quantize/plan/plan.h"
#include "quantize/write/rewrite.h"

struct oq_rule {
    enum oq_operator_id op;

    /* True where input number `input` is a weight; other inputs (a bias) are kept. */
    bool (*is_weight)(size_t input);

    /*
     * The inputs, bit by bit, for which decide() and emit() take a source that is
     * transposed: its dims are those of what is stored. Other inputs see none.
     */
    unsigned takes_transposed;

    /*
     * Decides on a site: action, form, reason and how scales are shared. The
     * weight is float, large enough and wanted, and its dims are not empty.
     */
    void (*decide)(const onnxq_plan *plan, struct oq_site *site);

    /* Its integers are multiplied with those of an activation: --reduce-range applies. */
    bool is_product;

    /* One scale for a whole weight is written once, not for each channel. */
    bool takes_one_scale;

    /* True where what replaces the site's node does not take that input of it; NULL: it takes all.
     */
    bool (*releases)(const onnxq_plan *plan, const struct oq_site *site, size_t input);

    /*
     * An input that engines lose where the node that makes it stays as it is and the site's does
     * not, or NULL. NULL: they lose none.
     */
    const struct oq_value *(*find_risk)(const struct oq_site *site);

    /* The input that must be dynamic as well for `input` to be; NULL: there is none. */
    size_t (*partner)(size_t input);

    /*
     * Writes the nodes that replace the site's node; only for ONNXQ_DYNAMIC. A
     * rule with several forms sets site->emit to another one in decide().
     */
    bool (*emit)(struct oq_rewrite *rewrite, const struct oq_site *site);
};

/*
 * The rule for a node's operator; operators without a rule of their own have
 * one that folds. NULL for operators whose constants stay as they are: those of
 * other domains, and those that are quantized already.
 */
const struct oq_rule *oq_rule_find(const struct oq_operator *op);

/* For decide(): stored as int8 with scales along axis, and why not better. */
void oq_site_fold(struct oq_site *site, int axis, size_t batch_axes, const char *reason);
void oq_site_dynamic(struct oq_site *site, int axis, size_t batch_axes, bool transposed,
                     const char *form);
void oq_site_keep(struct oq_site *site, const char *reason);

/*
 * For decide() under ONNXQ_METHOD_BLOCKS: integers in blocks along `axis`, in
 * that form. `form` names the operator.
 */
void oq_site_blocks(struct oq_site *site, enum oq_block_form layout, int axis, const char *form);

/* Smaller products were measured slower in integers (docs/decisions.md). */
#define OQ_MIN_DYNAMIC_NELEM 65536

/*
 * Whether x . W in integers, with W of k x n, is possible and worth while:
 * NULL, or the reason why not.
 */
const char *oq_matmul_refuses(const onnxq_plan *plan, const struct oq_site *site, int64_t k,
                              int64_t n, size_t activation_input);

/* The same without a look at what is worth while: only whether it is possible. */
const char *oq_integers_refuse(const onnxq_plan *plan, const struct oq_site *site, int64_t k,
                               size_t activation_input);

/* Those that rules.c lists; each is defined in a file of its own. */
extern const struct oq_rule oq_rule_any;
extern const struct oq_rule oq_rule_attention;
extern const struct oq_rule oq_rule_conv;
extern const struct oq_rule oq_rule_conv_transpose;
extern const struct oq_rule oq_rule_gather;
extern const struct oq_rule oq_rule_gemm;
extern const struct oq_rule oq_rule_lstm;
extern const struct oq_rule oq_rule_matmul;

#endif
