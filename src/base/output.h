/*
 * Output files that appear under their name only when they are complete: bytes
 * go to a temporary file in the same folder, which is renamed at the end.
 * One thread per output.
 */
#ifndef OQ_BASE_OUTPUT_H
#define OQ_BASE_OUTPUT_H

#include "base/destination.h"
#include "base/error.h"

struct oq_output {
    char *path;      /* the final name, links resolved; NULL when not open */
    char *temporary; /* NULL: bytes go straight to fd (standard output, a device, a FIFO) */
    int fd;
    int lock; /* the folder, while the file is placed; -1: none */
    enum oq_output_state {
        OQ_OUTPUT_HIDDEN = 0, /* not under its name yet, or committed */
        OQ_OUTPUT_PLACED,     /* under its name, which was free */
        OQ_OUTPUT_EXCHANGED   /* the same; the temporary name has what it replaces */
    } state;
};

#define OQ_OUTPUT_CLOSED ((struct oq_output){.fd = -1, .lock = -1})

struct oq_output_terms {
    uint64_t nbytes;      /* that will be written: a full disk is found before the work is done */
    unsigned most_rights; /* that others may have to it, OQ_ANY_RIGHTS: the umask alone decides */
    bool nobody_named_it; /* its name is made from another one's: it may be a file only */
};

/* Standard output, or a file or stream: oq_destination_find() says which may be there. */
bool oq_output_open(struct oq_output *output, const char *path, const struct oq_output_terms *terms,
                    onnxq_error *error);
bool oq_output_write(struct oq_output *output, const void *src, size_t nbytes, onnxq_error *error);

/* Lets the system start to write what it has so far, so that a later sync waits less. */
void oq_output_flush(struct oq_output *output);

/* All bytes are written: to the disk too where `sync` is set. */
bool oq_output_finish(struct oq_output *output, bool sync, onnxq_error *error);

/* Gives the finished file its name; keep_existing refuses where the name is taken. */
bool oq_output_publish(struct oq_output *output, bool keep_existing, bool sync, onnxq_error *error);

/*
 * The same in two steps, for a file that belongs to another one, which is
 * published in between: until it is committed, oq_output_close() gives the name
 * back to what had it before (where the file system cannot exchange two names,
 * that is gone). Others who place files in that folder wait for the end, so
 * that pairs of two runs do not mix.
 */
bool oq_output_place(struct oq_output *output, bool keep_existing, onnxq_error *error);
void oq_output_commit(struct oq_output *output, bool sync);

/* Removes what was not published or committed and releases everything; safe to call twice. */
void oq_output_close(struct oq_output *output);

#endif
