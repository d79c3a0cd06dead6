/*
 * A model of an older opset as one of opset 10, where quantizing operators begin: few operators
 * changed on the way, and what changed is written as the newer one has it.
 */
#ifndef OQ_EDIT_RAISE_H
#define OQ_EDIT_RAISE_H

#include "edit/edit.h"

#define OQ_OPSET_RAISED      10
#define OQ_OPSET_RAISED_FROM 7

/* A node that means something else in opset 10 and has no other form there, or NULL. */
const Oq__Pb__NodeProto *oq_raise_refuses(const onnxq_model *model);

/* Changes the nodes of all graphs, and the version; before nodes are written. */
bool oq_raise(struct oq_edit *edit);

#endif
