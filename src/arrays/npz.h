/* Archives as numpy.savez() and numpy.savez_compressed() write them: zip files of .npy files. */
#ifndef OQ_ARRAYS_NPZ_H
#define OQ_ARRAYS_NPZ_H

#include "base/file.h"
#include "arrays/array.h"

/* More entries than anything has inputs; names are compared with each other. */
#define OQ_NPZ_MAX_ENTRIES 16384

/*
 * Adds the array of each entry NAME.npy under its NAME, in the order of the
 * central directory. Stored and deflated, zip64 or not, checksums verified; an
 * entry is read straight into its array. `ignores` says which other entries
 * (by their file name) may be passed over; the rest are errors.
 */
bool oq_npz_read(struct oq_arrays *arrays, const struct oq_file *file,
                 bool (*ignores)(const char *name), onnxq_error *error);

#endif
