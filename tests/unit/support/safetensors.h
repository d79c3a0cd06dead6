/* Files of safetensors, right or, where a test says so, wrong. */
#ifndef SUPPORT_SAFETENSORS_H
#define SUPPORT_SAFETENSORS_H

#include "support/suite.h"

/* A file in the test's folder: the length of the header, the header, bytes 0, 1, 2.. of data. */
void test_write_safetensors(const char *name, const char *header, size_t data_nbytes);

/* A checkpoint of one module in the making. */
struct test_module {
    const char *name;
    unsigned bits;
    size_t rows, columns, group_size;
    bool is_awq, stores_less; /* GPTQ's first format: one less than the zero point */
    bool is_symmetric;
    bool has_order; /* g_idx of groups whose rows do not follow each other */
    uint8_t *codes; /* [rows, columns], drawn by test_write_module() */
    uint8_t *zeros; /* [groups, columns] */
    float *scales;  /* [groups, columns] */
    size_t *groups; /* [rows] */
};

/* Draws its numbers and writes them as the format has it. */
void test_write_module(struct test_module *module, const char *name);

#endif
