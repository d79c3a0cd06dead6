/*
 * Recurrent models whose recurrent operator was written in parts: a state goes in, and comes out to
 * go in again with the next call.
 */
#ifndef OQ_QUANTIZE_ANALYZE_STATE_H
#define OQ_QUANTIZE_ANALYZE_STATE_H

#include "model/model.h"

/*
 * True where an output beside others is called as an input is beside others, but for words such as
 * "in" and "new", and may have its shape: state and stateN, h0 and hn, new_cache and cache.
 */
bool oq_hands_back_state(const onnxq_model *model);

#endif
