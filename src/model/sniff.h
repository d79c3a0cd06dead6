/* What a file that is not an ONNX model is instead. */
#ifndef OQ_MODEL_SNIFF_H
#define OQ_MODEL_SNIFF_H

#include "base/file.h"

/*
 * "a GGUF model", "a zip archive", ... and in *hint what to do about it
 * (possibly NULL); returns NULL where nothing is recognized.
 */
const char *oq_sniff(const struct oq_file *file, const char **hint);

#endif
