/*
 * Names of a checkpoint's modules and of what an exporter made of them:
 *
 *     model.layers.0.self_attn.q_proj               the module
 *     model.layers.0.self_attn.q_proj.weight        an initializer
 *     /model/layers.0/self_attn/q_proj/MatMul       a node
 *
 * All are lists of parts, of which one may begin further out than the other: a model is exported
 * without what it was wrapped in, or with it.
 */
#ifndef OQ_QUANTIZE_DECIDE_IMPORT_NAMES_H
#define OQ_QUANTIZE_DECIDE_IMPORT_NAMES_H

#include "base/strmap.h"
#include "checkpoint/checkpoint.h"

struct oq_import_names {
    struct oq_strmap whole;   /* of modules */
    struct oq_strmap endings; /* of their names, from any part on; to several: AMBIGUOUS */
    struct oq_arena *arena;
};

bool oq_import_names_init(struct oq_import_names *names, const onnxq_checkpoint *checkpoint,
                          struct oq_arena *arena);

/* How much a name tells. */
enum oq_name_match {
    OQ_NAME_OTHER,
    OQ_NAME_AMBIGUOUS, /* several modules could be meant */
    OQ_NAME_ENDING,    /* one name ends in the other one */
    OQ_NAME_WHOLE      /* they are the same */
};

/* The module that a node or an initializer stands for. False: memory is out. */
bool oq_import_names_find(const struct oq_import_names *names, const char *name,
                          enum oq_name_match *match, const struct oq_module **module);

#endif
