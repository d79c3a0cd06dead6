/* Which version of ONNX Runtime a model needs, as far as operators/engines.h tells. */
#ifndef OQ_MODEL_NEEDS_H
#define OQ_MODEL_NEEDS_H

#include "base/arena.h"
#include "operators/operators.h"

/* 1.N: older ones were not tried; that a newer one is needed is all that is known of it. */
#define OQ_OLDEST_ENGINE 16
#define OQ_NEWEST_ENGINE 32

/* When a line of the table holds for a node of its operator. */
enum oq_form_detail {
    OQ_FORM_ANY,
    OQ_FORM_BITS,      /* the attribute is that value, 4 where it is left out */
    OQ_FORM_INPUT,     /* it has that input */
    OQ_FORM_OPSET,     /* in that opset of ai.onnx, or a later one */
    OQ_FORM_HAS_BITS,  /* it has the attribute */
    OQ_FORM_HAS_LEVEL, /* it has accuracy_level */
    OQ_FORM_TYPE       /* its first input is a constant of that type */
};

struct oq_engine_need {
    int minor; /* N of 1.N */
    const char *what;
    bool is_format; /* the IR version */
};

/* The latest version first; empty: OQ_OLDEST_ENGINE will do. */
struct oq_engine_needs {
    const struct oq_engine_need *list;
    size_t count;
};

/* Everything lives in the arena. False when memory is out. */
bool oq_needs_find(struct oq_engine_needs *needs, const Oq__Pb__ModelProto *proto,
                   struct oq_arena *arena, onnxq_error *error);

/* The least version: of the first need, or the oldest one. */
int oq_needs_least(const struct oq_engine_needs *needs);

/* "1.17" */
struct oq_engine_text {
    char text[16];
};
struct oq_engine_text oq_engine_text(int minor);

/*
 * Why the oldest engine that has to run the model, 1.`target`, does not run what the line of the
 * table is about, or NULL; of 0 any engine will do.
 */
const char *oq_engine_refuses(int target, enum oq_operator_id id, enum oq_form_detail detail,
                              int64_t value);

/* The newest version of the format, and of ai.onnx or ai.onnx.ml, that an engine loads. */
int64_t oq_engine_ir_version(int minor);
int64_t oq_engine_opset(const char *domain, int minor);

/* N of "1.N" or "1.N.P"; -1: the text is no version of ONNX Runtime. */
int oq_engine_minor(const char *text);

#endif
