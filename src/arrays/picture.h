/*
 * Pictures as inputs: PNG, JPEG, PPM and PGM files, decoded to bytes of red,
 * green and blue or of gray. The first two need libpng and libjpeg where onnxq
 * was built.
 */
#ifndef OQ_ARRAYS_PICTURE_H
#define OQ_ARRAYS_PICTURE_H

#include "arrays/array.h"
#include "base/file.h"

/* More than any camera's; a picture of some KB can claim to have billions. */
#define OQ_PICTURE_MAX_NELEM ((uint64_t)192 << 20)

struct oq_picture {
    size_t width, height, channels; /* 1 or 3 */
    uint8_t *pixels;                /* [height, width, channels] */
};

/* Room for the pixels; false with an error where sizes are 0 or too large. */
bool oq_picture_init(struct oq_picture *picture, uint64_t width, uint64_t height, size_t channels,
                     onnxq_error *error);
void oq_picture_fini(struct oq_picture *picture);

/* What the file's first bytes say it is; alpha is dropped. Release after a failure, too. */
bool oq_picture_read(struct oq_picture *picture, const struct oq_file *file, onnxq_error *error);

/* --- one function for each format: picture_png.c, picture_jpeg.c, picture.c (PPM and PGM) --- */

bool oq_picture_decode_png(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                           onnxq_error *error);
bool oq_picture_decode_jpeg(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                            onnxq_error *error);
bool oq_picture_decode_pnm(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                           onnxq_error *error);

/* --- picture_array.c: into the tensor that a model takes --- */

struct oq_picture_form {
    const char *name;       /* of the input */
    int32_t data_type;      /* a number of 8 bits or more */
    bool channels_last;     /* [H,W,C], else [C,H,W] */
    bool has_batch;         /* an axis of 1 in front */
    size_t channels;        /* 1 or 3 */
    size_t width, height;   /* 0: those of the picture */
    double mean[3], std[3]; /* a pixel, 0 to 255, becomes (pixel - mean) / std */
};

/*
 * Resized by a triangle as wide as a pixel of the smaller of both pictures:
 * bilinear where it grows, and no pixel is left out where it shrinks.
 */
bool oq_picture_to_array(const struct oq_picture *picture, const struct oq_picture_form *form,
                         struct oq_array *array, onnxq_error *error);

#endif
