/*
 * Hostile models: each shape is one thing that a file can have very many of, or
 * that it can nest or repeat, n times. All are valid protobuf; whether they are valid
 * models is not the point.
 */
#ifndef LIMITS_SHAPES_H
#define LIMITS_SHAPES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t nbytes, capacity;
};

struct parts {
    struct bytes model; /* fields of ModelProto other than the graph */
    struct bytes graph;
};

struct shape {
    const char *name;
    void (*make)(struct parts *parts, size_t n);
    size_t most; /* n is never larger, 0: no limit */
};

extern const struct shape shapes[];
extern const size_t n_shapes;

/* The file of a shape; the caller frees its data. */
struct bytes make_shape(const struct shape *shape, size_t n);

/* n MatMul, each between its neighbours, every other one with a weight of its own. */
void make_chain_of_products(struct parts *parts, size_t n);

#endif
