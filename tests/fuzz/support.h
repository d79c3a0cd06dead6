/*
 * What fuzz targets share.
 *
 * The input of most of them is a model file. What else a target needs stands in
 * fields of that model which ONNX does not have, so that any model is an input
 * of any target, and an input of one target is one of the others.
 */
#ifndef TESTS_FUZZ_SUPPORT_H
#define TESTS_FUZZ_SUPPORT_H

#include <onnxq/onnxq.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* Not assert(): it has to hold in every build. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Numbers of the fields that ONNX does not have. */
enum {
    FUZZ_OPTIONS = 1000, /* bytes to draw choices from */
    FUZZ_TEXT = 1001,    /* lines, such as selectors */
    FUZZ_MODEL = 1002    /* a second model */
};

/* Bytes of options that the mutator writes. */
#define FUZZ_OPTIONS_NBYTES 16

struct fuzz_bytes {
    const uint8_t *bytes;
    size_t nbytes;
};

/* The last field of that number in data, which is a message; empty where there is none. */
struct fuzz_bytes fuzz_find_field(const uint8_t *data, size_t nbytes, uint32_t number);

/* Byte k of the field, 0 behind its end: what a target draws its choices from. */
uint8_t fuzz_byte(struct fuzz_bytes field, size_t k);

/* --- files: all in one folder, which goes when the program ends ------------------- */

/* "FOLDER/name"; the folder is made at the first call. The caller frees it. */
char *fuzz_path(const char *name);
char *fuzz_join(const char *parent, const char *name);

void fuzz_write(const char *path, const uint8_t *data, size_t nbytes);
uint8_t *fuzz_read(const char *path, size_t *nbytes); /* the caller frees it */

/* --- models ------------------------------------------------------------------------ */

/* A failure says what and why in clean text, and is never "a bug in onnxq". */
void fuzz_check_error(const onnxq_error *error);

/* Opens data as a model in a file of that path; NULL where it is refused. */
onnxq_model *fuzz_open(const char *path, const uint8_t *data, size_t nbytes);

/* Opens what onnxq has written: it has to be a model. */
onnxq_model *fuzz_reopen(const char *path);

/*
 * Two folders to do the same job in, with unlike numbers of threads: the name
 * of a side file is part of the model, so the outputs have the same name.
 */
struct fuzz_twins {
    char *folders[2], *outputs[2];
    unsigned threads[2];
};

/* 1 and 3 threads. What it holds lives as long as the program. */
void fuzz_twins_init(struct fuzz_twins *twins, const char *name);

/* Empties both folders. */
void fuzz_twins_empty(const struct fuzz_twins *twins);

/*
 * Quantizes, or the way back, in both folders and writes all reports: same
 * status, same bytes, as many as announced, and a model that opens; a failure
 * leaves nothing behind.
 */
onnxq_status fuzz_quantize(const struct fuzz_twins *twins, const onnxq_model *model,
                           onnxq_options *options, onnxq_summary *summary);
onnxq_status fuzz_dequantize(const struct fuzz_twins *twins, const onnxq_model *model,
                             onnxq_dequantize_options *options, onnxq_dequantize_summary *summary);

#endif
