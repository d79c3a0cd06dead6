/*
 * The steps that make a plan, as create.c goes through them: which constants there are, what
 * becomes of each use, how each weight is stored, and its ranges and scales.
 */
#ifndef OQ_QUANTIZE_DECIDE_STEPS_H
#define OQ_QUANTIZE_DECIDE_STEPS_H

#include "quantize/plan/plan.h"

/* collect.c: all constants and their uses, and whether graph inputs are frozen. */
bool oq_plan_collect(onnxq_plan *plan, onnxq_error *error);

/* choices.c: the options of every site. */
bool oq_plan_apply_choices(onnxq_plan *plan, const onnxq_options *given, onnxq_error *error);

/*
 * imports.c: which weights are taken from the checkpoint, where there is one; and
 * import_distance.c: which were, in the end, and how far they are from what they replace.
 */
bool oq_plan_find_imports(onnxq_plan *plan, const onnxq_options *given, onnxq_error *error);
bool oq_plan_measure_imports(onnxq_plan *plan, onnxq_error *error);

/* decide.c: which sites are kept, whatever becomes of others. */
struct oq_selection;
bool oq_plan_screen(onnxq_plan *plan, const struct oq_selection *selection, onnxq_error *error);

/* decide.c: an action for every site; then all that follows from it. */
bool oq_plan_decide(onnxq_plan *plan, onnxq_error *error);

/* method.c: the rule's choice for a site, as far as the method allows it. */
void oq_plan_apply_method(onnxq_plan *plan, struct oq_site *site);

/* qdq.c: the same for DequantizeLinear; and whether a use takes none, which holds for the constant.
 */
void oq_plan_decide_qdq(onnxq_plan *plan, struct oq_site *site);
bool oq_site_is_multiplied(onnxq_plan *plan, const struct oq_site *site);

/* Where it has no blocks: */
bool oq_site_stores_4_bits(const struct oq_site *site);

/*
 * cost.c: the bytes of integers, of what a site has beside them (scales, zero points, a
 * bias), and whether both together are less than the floats.
 */
uint64_t oq_quantized_nbytes(const struct oq_quantized *quantized);
uint64_t oq_site_beside_nbytes(const onnxq_plan *plan, const struct oq_site *site);
bool oq_site_shrinks(const onnxq_plan *plan, const struct oq_site *site, bool is_wide);

/* equal.c: tensors of the same bytes, among those of which all sites are quantized. */
bool oq_plan_find_equal(onnxq_plan *plan, onnxq_error *error);

/* storage.c: ranges and integers for all sites that are not kept. */
bool oq_plan_choose_storage(onnxq_plan *plan, onnxq_error *error);

/*
 * balance.c: refuses integers that take more room than the floats that leave for them,
 * with reasons in `refusal`; `strictly`: and all that depend on them. *any: some were.
 */
bool oq_plan_balance(onnxq_plan *plan, bool strictly, bool *any, onnxq_error *error);

/* What replaces the node of a site that is kept, and does not take its input; or NULL. */
const struct oq_site *oq_plan_find_releaser(const onnxq_plan *plan, const struct oq_site *site);

/*
 * The site that needs the floats of the constant as they are, or NULL; and the same in words,
 * where there is one (NULL: memory is out).
 */
const struct oq_site *oq_plan_find_keeper(const onnxq_plan *plan,
                                          const struct oq_constant *constant);
const char *oq_plan_describe_keeper(const onnxq_plan *plan, struct oq_arena *arena,
                                    const struct oq_constant *constant);

/*
 * channels.c: what choice number `number` says of channels, copied; NULL where that is nothing.
 * Whether that fits the site that it was chosen for, and the smoothing that follows from it.
 */
bool oq_plan_add_channels(onnxq_plan *plan, const onnxq_choice *choice, size_t number,
                          const struct oq_channel_choice **channels, onnxq_error *error);
bool oq_channels_fit(const struct oq_site *site, size_t number, onnxq_error *error);
const struct oq_smoothing *oq_plan_smooth_channels(onnxq_plan *plan, const struct oq_site *site,
                                                   onnxq_error *error);

/* channels.c: the weight as the model has it, without the factors of an earlier round. */
struct oq_source oq_bare_source(const struct oq_constant *constant);

/*
 * smooth.c: which products take activations whose channels are made alike. What weights are
 * multiplied by for it counts from here on.
 */
bool oq_plan_smooth(onnxq_plan *plan, onnxq_error *error);

/* measure_weights.c: reads all weights that are to be quantized; fills lo and hi of their ranges.
 */
bool oq_plan_measure(onnxq_plan *plan, onnxq_error *error);
void oq_plan_assume_ranges(onnxq_plan *plan); /* or reads none, and takes usual ones */

/* scale_weights.c: from ranges to scales and zero points. */
void oq_plan_scale(onnxq_plan *plan);

/*
 * spread.c: of weights of which what all elements have in common is taken off, how much is left
 * of the rest.
 */
bool oq_plan_measure_spread(onnxq_plan *plan, onnxq_error *error);

/*
 * features.c: why the site's node computes with floats, or NULL, and what is enough for the weight
 * then, with one scale for each output: as its weight has it, and as its bias has it.
 */
void oq_plan_look_at_features(onnxq_plan *plan, struct oq_constant *constant,
                              const struct oq_site *site, struct oq_objection *inputs,
                              struct oq_objection *offset);

/*
 * fed.c: which of its inputs the node of the site takes from inputs of the model, which others hand
 * on or scale: intervals that may overlap. `is_all`: nothing but constants is beside them.
 */
void oq_site_find_fed(const onnxq_plan *plan, const struct oq_site *site, uint64_t n_inputs,
                      struct oq_fed *fed);
bool oq_site_is_fed(const onnxq_plan *plan, const struct oq_site *site);

/*
 * offset.c: what is added to a product, or taken off, as a bias or in nodes of their own. False:
 * nothing, or none for each output. And whether that is what the inputs have in common, by the
 * norms of the weight's outputs. `scratch`: OQ_READ_SCRATCH_NBYTES.
 */
#define OQ_MIN_BIASES       ((uint64_t)8) /* of fewer, the middle one is any */
#define OQ_MAX_OFFSET_TERMS 6
struct oq_offset {
    struct oq_offset_term {
        const Oq__Pb__NodeProto *node;
        size_t input; /* that the product is */
        const struct oq_constant *constants[4];
    } terms[OQ_MAX_OFFSET_TERMS];
    size_t n;
    float weight_factor, bias_factor;
    const struct oq_constant *bias; /* of the product itself, or NULL */
};
bool oq_offset_find(const onnxq_plan *plan, const struct oq_site *site, uint64_t n_outputs,
                    struct oq_offset *offset);
struct oq_objection oq_offset_judge(const struct oq_offset *offset, const double *norms,
                                    uint64_t n_outputs, void *scratch);

/*
 * structured.c: why the site's weight is a matrix of linear algebra, or points, whose product wants
 * floats and 16 bits, or floats (site->is_beyond_16_bits), or NULL. `n_before`: sites of the
 * constant that lie in front of this one, and may have been asked.
 */
const char *oq_plan_find_structure(onnxq_plan *plan, struct oq_site *site, size_t n_before);

/*
 * precision.c: what the measured numbers object to. True where that is new, so
 * that all has to be decided once more; `last`: once more and never again.
 */
bool oq_plan_object(onnxq_plan *plan, bool last);

/*
 * storage.c: the integers of a product that a constant can be folded from, which has a copy of
 * its own for the sake of 16 bits and got none; or NULL. And that it is folded from these.
 */
struct oq_quantized *oq_plan_find_shared(const struct oq_constant *constant);
void oq_plan_share(struct oq_constant *constant, struct oq_quantized *shared);

/* storage.c: a scale for each channel, where its rule has any: as options or its numbers ask. */
bool oq_site_has_channels(const onnxq_plan *plan, const struct oq_site *site);

/* storage.c: its floats are finer than 16 bits, and these were not ruled out; it may get them. */
bool oq_plan_can_have_16_bits(const onnxq_plan *plan, const struct oq_constant *constant);
bool oq_plan_may_widen(const onnxq_plan *plan, const struct oq_constant *constant);

/*
 * precision.c: the constant has 16 bits, and where there are none, or they would be no smaller,
 * it stays float: `reason`.
 */
void oq_plan_need_16_bits(const onnxq_plan *plan, struct oq_constant *constant, const char *reason);
void oq_plan_need_float(struct oq_constant *constant, const char *reason);

/* given_rounding.c: integers that were chosen beforehand, and what is said of them. */
void oq_plan_use_rounding(onnxq_plan *plan);

/* precision.c: 16 bits for folded weights that need them, and one copy for those that do not. */
bool oq_plan_widen(onnxq_plan *plan, onnxq_error *error);

/* refine.c: its weight would have scales of inputs as well, where it is folded. */
bool oq_site_has_input_scales(const onnxq_plan *plan, const struct oq_site *site);

/* refine.c: scales for inputs as well, and sums that are kept, of what is only folded. */
bool oq_plan_refine(onnxq_plan *plan, onnxq_error *error);

#endif
