/* Training information beside the graph, which names values of it. */
#ifndef OQ_MODEL_TRAINING_H
#define OQ_MODEL_TRAINING_H

#include "model/graph.h"
#include "wire/message.h"

/* Sets `is_named` of what the model's training information names. */
void oq_training_note(const Oq__Pb__ModelProto *model, const struct oq_graphs *graphs);

#endif
