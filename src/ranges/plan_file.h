/*
 * The file of a plan: the forms of weights, for the same model anywhere; docs/tuning.md describes
 * it. The same choices give the same bytes.
 */
#ifndef OQ_RANGES_PLAN_FILE_H
#define OQ_RANGES_PLAN_FILE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/option_values.h"
#include "model/model.h"
#include "ranges/calibrated.h"

extern const char *const oq_form_names[OQ_N_PLAIN_FORMS];

struct onnxq_plan_file {
    struct oq_arena arena; /* of all below */
    char *path;
    struct oq_structure_digest model;
    onnxq_ranges *ranges; /* of activations, for ONNXQ_METHOD_STATIC; or NULL */
    onnxq_choice *choices;
    size_t n_choices, capacity;
};

/* ranges: NULL where the method needs none. */
bool oq_plan_file_write(const onnxq_model *model, const onnxq_ranges *ranges,
                        const onnxq_choice *choices, size_t n, FILE *stream);

/* Release with oq_plan_file_fini(), after a failure too. */
bool oq_plan_file_read(onnxq_plan_file *file, const char *path, onnxq_error *error);
void oq_plan_file_fini(onnxq_plan_file *file);

/* ONNXQ_ERROR_INPUT where the plan is one of another model. */
bool oq_plan_file_check(const onnxq_plan_file *file, const onnxq_model *model, onnxq_error *error);

/*
 * The options with what their plan says in its place: its choices, and where it has ranges that
 * nobody else gives, those and their method. Twice is as once.
 */
onnxq_options oq_plan_file_resolve(const onnxq_options *options);

#endif
