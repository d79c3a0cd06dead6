/* Pictures among the files of inputs: which input they go to, and how. */
#ifndef OQ_INPUTS_PICTURES_H
#define OQ_INPUTS_PICTURES_H

#include "inputs/signature.h"

enum oq_picture_layout { OQ_LAYOUT_AUTO = 0, OQ_LAYOUT_NCHW, OQ_LAYOUT_NHWC };

struct oq_picture_settings {
    bool given; /* any of these: an error where there are no pictures */
    enum oq_picture_layout layout;
    /* One for all channels or one for each of three; n 0: mean 0, std 1. */
    double mean[3], std[3];
    size_t n_mean, n_std;
    uint64_t width, height; /* 0: as the model has it, else the picture */
};

struct oq_pictures {
    const struct oq_signature *signature;
    const struct oq_picture_settings *settings;
    struct oq_picture_maker maker; /* for oq_input_sets */
};

/* Borrows both. */
void oq_pictures_init(struct oq_pictures *pictures, const struct oq_signature *signature,
                      const struct oq_picture_settings *settings);

/* After all was read or counted: settings for pictures without a picture are an error. */
bool oq_pictures_check(const struct oq_pictures *pictures, onnxq_error *error);

#endif
