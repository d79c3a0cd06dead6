/*
 * Inputs for models, read from files: one set of arrays for each run.
 */
#ifndef OQ_ARRAYS_INPUT_FILES_H
#define OQ_ARRAYS_INPUT_FILES_H

#include "arrays/array.h"
#include "base/file.h"

struct oq_input_set {
    char *label; /* the file or folder it came from, or "random inputs 3"; for messages */
    struct oq_arrays inputs;
    struct oq_arrays outputs; /* of ONNX test data: what the model should give; often none */
};

/*
 * Sets that are looked at one by one, so that but one is in memory: those of
 * numbers [first, first + count), from 0 on, are read, given to take(), and
 * released; the others are counted and not read.
 */
struct oq_set_visit {
    uint64_t first, count;
    uint64_t n_sets; /* so far, those before and behind included */
    bool (*take)(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error);
    void *data;
};

/* Makes the array of a picture's file. */
struct oq_picture_maker {
    bool (*make)(void *data, const struct oq_file *file, struct oq_array *array,
                 onnxq_error *error);
    void *data;
    uint64_t n_pictures; /* so far, those that were counted only included */
};

/* A growing list that owns its sets. Zero is an empty one. */
struct oq_input_sets {
    struct oq_picture_maker *pictures; /* NULL: they are no inputs */
    struct oq_set_visit *visit;        /* NULL: all are kept */
    struct oq_input_set *list;
    size_t count, capacity;
    char *sizes;     /* chosen for open dimensions of random inputs: "--dim x:2=224"; NULL: none */
    bool has_others; /* nothing in the model speaks for these and against other ones */
};

/* Room for one more, its label copied, or NULL after an error. */
struct oq_input_set *oq_input_sets_add(struct oq_input_sets *sets, const char *label,
                                       onnxq_error *error);
void oq_input_sets_drop(struct oq_input_sets *sets); /* the last one, which there is */
void oq_input_sets_fini(struct oq_input_sets *sets);

/*
 * Adds what `path` holds:
 *   FILE.npz                       one set, arrays by their names
 *   FILE.npy, FILE.pb              one set of one array (a .pb is a TensorProto)
 *   FILE.png, .jpg, .ppm, .pgm     one set: what sets->pictures makes of it
 *   a folder of .npz or pictures   a set for each, in the order of their names
 *   a folder of .npy and .pb       one set: input_N.* by position, output_N.* among the
 *                                  outputs, others by name (of the TensorProto, else the file)
 *   a folder of test_data_set_N    a set for each, in the order of N
 * Arrays that are known by position only (input_N of .npy, or of a .pb without
 * a name, the arr_N of numpy.savez, or a file that stands alone) are named "#N";
 * oq_signature_bind() gives them the name of the model's input.
 * A folder that holds anything else that looks like data, a file that is cut
 * short or not what its name says: an error with the file's name.
 */
bool oq_input_sets_read(struct oq_input_sets *sets, const char *path, onnxq_error *error);

/* N of the name "#N", SIZE_MAX where it is larger; false for any other name. */
bool oq_position_read(const char *name, size_t *position);

#endif
