/* Which values of a model ranges are wanted of. */
#ifndef OQ_CALIBRATE_WANTED_H
#define OQ_CALIBRATE_WANTED_H

#include "model/model.h"

struct oq_wanted {
    const char *name;
    bool is_input;   /* of the model: nobody has to compute it */
    size_t node;     /* that computes it, or 0 */
    int axis;        /* of the channels; -1: the last one */
    uint64_t nbytes; /* as it was in the first run */
    bool is_unfit;   /* it turned out to be no float32 tensor */
};

struct oq_wanted_list {
    struct oq_wanted *list; /* in the order of the model, inputs first */
    size_t count;
    bool is_sorted; /* no node of the model reads what a later one makes */
};

/*
 * Values of the main graph that can be float32 tensors and are no constants:
 * what the model declares, else what the operator says. Memory is the arena's.
 */
bool oq_wanted_find(struct oq_wanted_list *wanted, const onnxq_model *model, struct oq_arena *arena,
                    onnxq_error *error);

#endif
