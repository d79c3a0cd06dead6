/*
 * What is known of operators: a row for each of ai.onnx and com.microsoft, in
 * list.h. What no row names is unknown, and nothing is assumed of it.
 */
#ifndef OQ_OPERATORS_OPERATORS_H
#define OQ_OPERATORS_OPERATORS_H

#include <stdbool.h>
#include <stddef.h>

#include "onnx.pb-c.h"

/* Up to this version of ai.onnx all of its operators have a row. */
#define OQ_OPERATORS_OPSET 28

/* OQ_ONNX_Add, OQ_MS_MatMulNBits, ... */
enum oq_operator_id {
    OQ_UNKNOWN_OPERATOR,
#define OP(domain, name, ...)      OQ_##domain##_##name,
#define TWIN(domain, name, ...)    OQ_##domain##_##name,
#define INTEGER(domain, name, ...) OQ_##domain##_##name,
#include "operators/list.h"
    OQ_N_OPERATORS
};

/* What an input is to its operator, and with it what rounding a constant there does. */
enum oq_role {
    /* harmless: the result is off by no more than a multiple of the rounding */
    OQ_WEIGHT = 'w',  /* multiplied and summed up */
    OQ_BOUNDED = 'l', /* linear in it, or bounded; averages, products, normalizations */
    OQ_NORM = 'r',    /* summed up regardless of signs: zero only where all elements are */
    OQ_ELEMENT = 'e', /* element by element: harmless by itself, the result is as rounded */
    /* as harmless as what is done with the result */
    OQ_CHOSEN = 'o', /* elements of it, or of others, at the same places */
    OQ_PASSED = 'p', /* elements of it, rearranged */
    OQ_UNSEEN = 'n', /* its shape or type matters at most, or it holds no numbers */
    /* not harmless */
    OQ_DIVISOR = 'd',
    OQ_UNBOUNDED = 'u', /* logarithms, roots, powers: steep somewhere */
    OQ_ANGLE = 'y',     /* a step of the largest may be a turn */
    OQ_COMPARED = 'c',  /* by size: where two are nearly equal, a little more is something else */
    OQ_EXACT = 'x',     /* cut to integers, or asked whether it is equal: so it is everywhere */
    OQ_COORDINATE = 'g',
    OQ_INDEX = 'i',
    OQ_SETTING = 't', /* shapes, counts, thresholds */
    OQ_AXES = 'a',
    OQ_MASK = 'm', /* integers that say which elements count */
    OQ_BITS = 'b',
    /* quantized already */
    OQ_INTEGERS = 'q', /* of a weight or an activation */
    OQ_SCALE = 's',
    OQ_ZERO_POINT = 'z',
    OQ_UNKNOWN_ROLE = '?'
};

enum oq_trait {
    OQ_SAME_SHAPE = 1,  /* output 0 has the shape of input 0 */
    OQ_BROADCASTS = 2,  /* its inputs, against one another */
    OQ_KEEPS_WHOLE = 4, /* whole numbers at input 0 come out as they are */
    OQ_COMPARES = 8,    /* or combines what was compared */
    OQ_RECURRENT = 16,  /* what it has computed comes back as input */
    OQ_HAS_BODIES = 32, /* graphs in attributes, which its inputs go into */
    OQ_QUANTIZED = 64,  /* it quantizes, or takes integers with scales */
    OQ_CENTERS = 128,   /* what elements of an input have in common makes no difference */
    OQ_POSITIVE = 256,  /* of input 0 it wants positive numbers, and is steep near zero */
    OQ_BY_CHANNEL = 512 /* what it sums up, or scales, are elements of one feature or channel */
};

struct oq_operator {
    const char *domain; /* "" is ai.onnx */
    const char *name;   /* "": no operator that is known */
    int since;
    unsigned traits;
    const char *inputs;
    const char *family;
    const char *stays;  /* or NULL */
    const char *advice; /* or "" */
};

/* The row, by enum oq_operator_id. */
extern const struct oq_operator oq_operators[OQ_N_OPERATORS];

/* Never NULL: what is not known has row OQ_UNKNOWN_OPERATOR. */
const struct oq_operator *oq_operator_find(const char *domain, const char *op_type);
const struct oq_operator *oq_operator_of(const Oq__Pb__NodeProto *node);

/* By name alone, where no domain is told; that of ai.onnx if there are two. */
const struct oq_operator *oq_operator_named(const char *op_type);

enum oq_operator_id oq_operator_id(const struct oq_operator *op);
enum oq_operator_id oq_operator_id_of(const Oq__Pb__NodeProto *node);

/* What input number `input` is. OQ_UNKNOWN_ROLE where the operator has none of that number. */
enum oq_role oq_operator_role(const struct oq_operator *op, size_t input);

/* Why a constant with that role may not be rounded; NULL: it may, or what follows decides. */
const char *oq_role_refuses(enum oq_role role);

static inline bool oq_operator_has(const struct oq_operator *op, enum oq_trait trait)
{
    return (op->traits & trait) != 0;
}

/* Counts the lines of ranges.h. */
enum {
    OQ_N_RANGES = 0
#define BETWEEN(...)  +1
#define IN_TABLE(...) +1
#include "operators/ranges.h"
};

/* What the integers at an input have to be. */
struct oq_range {
    enum oq_operator_id id;
    size_t input;
    enum oq_range_kind {
        OQ_RANGE_BETWEEN,   /* low and high */
        OQ_RANGE_INDEX,     /* into that axis of input `table` */
        OQ_RANGE_INDEX_ANY, /* into any axis of it */
        OQ_RANGE_CLASS,     /* below the number of classes, which is input `table` itself */
        OQ_RANGE_TOKEN,     /* below the number of words that a text is made of */
        OQ_RANGE_LENGTH,    /* at most the size of that axis, at least 1 */
        OQ_RANGE_LENGTHS,   /* the same where axis 0 or 1 counts */
        OQ_RANGE_LONGER     /* more than the size of that axis: what is written comes behind it */
    } kind;
    int64_t low, high;
    size_t table;
    int64_t axis;
    const char *attribute; /* that names the axis, or NULL */
};

/* NULL where any will do, or its letter says enough. */
const struct oq_range *oq_operator_range(enum oq_operator_id id, size_t input);

/* Sets the flags of operators that functions of the model stand for: they do something else. */
void oq_operators_note_functions(const Oq__Pb__ModelProto *model, bool is_local[OQ_N_OPERATORS]);

/* NULL and "ai.onnx" become "". */
const char *oq_domain(const char *domain);

#endif
