/* Windows that a Conv or a pool moves along the axes of its input. */
#ifndef OQ_INPUTS_WINDOW_H
#define OQ_INPUTS_WINDOW_H

#include "model/graph.h"

/* Along an axis of `size` elements there are (size + shift) / stride places, rounded down. */
struct oq_window {
    int64_t shift, stride; /* stride is 1 or more */
};

/*
 * Along spatial axis number `axis`. `kernel` is its length there, for a node without the
 * attribute. False where it is not known, or is none that an engine would take.
 */
bool oq_window_read(struct oq_window *window, const Oq__Pb__NodeProto *node, size_t axis,
                    int64_t kernel);

#endif
