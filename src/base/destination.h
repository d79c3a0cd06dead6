/*
 * Where an output goes, and with which rights: decided before anything is
 * opened, so that nobody else's link, FIFO or umask decides it.
 */
#ifndef OQ_BASE_DESTINATION_H
#define OQ_BASE_DESTINATION_H

#include "base/error.h"
#include "base/os.h"

struct oq_destination {
    char *path;      /* where links led that were followed; freed by the owner */
    bool is_stream;  /* a FIFO or a device; else a regular file, or nothing yet */
    unsigned rights; /* that the file is made with */
    bool is_exact;   /* they are those of what it replaces; else the umask takes from them */
};

/*
 * What `path` names. A link is followed where the user (or root) owns it and
 * its folder is not one that everybody writes to, unless the user owns that; a
 * FIFO is taken where the user (or root) owns it. `nobody_named_it` is for
 * files whose name is made from another one's: then there is a regular file or
 * nothing.
 *
 * Rights are the old ones where a file of the user's is replaced, else what the
 * umask leaves; and for others than the user never more than `most`, the rights
 * of what the output is made of.
 */
bool oq_destination_find(struct oq_destination *destination, const char *path, bool nobody_named_it,
                         unsigned most, onnxq_error *error);

#endif
