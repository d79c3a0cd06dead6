/* How far off a right output may be where nobody says: it depends on how coarse a model's steps
 * are. */
#ifndef OQ_CHECK_DEFAULT_TOLERANCE_H
#define OQ_CHECK_DEFAULT_TOLERANCE_H

#include "model/model.h"

struct oq_default_tolerance {
    double relative;
    const char *basis; /* "8 bits": what it is the default for */
};

/* Of a model that is compared with another one, or with stored outputs. */
struct oq_default_tolerance oq_default_tolerance_of(const onnxq_model *candidate);

#endif
