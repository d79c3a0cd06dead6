/*
 * The forms that a search tries: those of the library, and of integers the ways to treat the
 * channels of the activation that a weight is multiplied with (onnxq_choice, docs/tuning.md).
 */
#ifndef OQ_TUNE_TUNE_FORMS_H
#define OQ_TUNE_TUNE_FORMS_H

#include "base/option_values.h"

/* Those of the library, by their numbers there; then those of channels. */
#define OQ_N_FORMS (OQ_N_PLAIN_FORMS + 5)

struct oq_tune_form {
    const char *name;
    onnxq_form form;
    float strength;     /* channels are divided by their sizes to this power */
    unsigned n_columns; /* the largest channels, in float */
};

extern const struct oq_tune_form oq_tune_forms[OQ_N_FORMS];

/*
 * All but float, in the order in which they are worth the time that is left: the most accurate one,
 * the fastest one, and what lies between.
 */
#define OQ_N_ORDERED_FORMS (OQ_N_FORMS - 1)
extern const int oq_tune_order[OQ_N_ORDERED_FORMS];

static inline bool oq_form_has_channels(int form)
{
    return form >= OQ_N_PLAIN_FORMS;
}

/* Divides channels only, which takes the same time for all strengths. */
static inline bool oq_form_is_smooth(int form)
{
    return oq_form_has_channels(form) && oq_tune_forms[form].n_columns == 0;
}

/* The form that a weight has instead, where it has none such. */
static inline int oq_form_below(int form)
{
    return oq_form_has_channels(form) ? ONNXQ_FORM_INTEGERS
           : form > ONNXQ_FORM_FOLDED ? ONNXQ_FORM_FOLDED
                                      : ONNXQ_FORM_FLOAT;
}

/* An activation of products, and what the forms of channels make of it. */
struct oq_tune_activation {
    const char *name;
    size_t n;                      /* channels */
    size_t n_products;             /* that read it */
    float *divisors[OQ_N_FORMS];   /* [n], or NULL */
    uint32_t *columns[OQ_N_FORMS]; /* [n_columns of the form], or NULL */
};

/* A form of a use of a weight; activation: what it is multiplied with, or NULL. Borrows. */
onnxq_choice oq_tune_choose(const char *node, const char *weight,
                            const struct oq_tune_activation *activation, int form);

#endif
