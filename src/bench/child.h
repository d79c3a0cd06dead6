/* A process that is forked, and the pipe to it: child_posix.c. */
#ifndef OQ_BENCH_CHILD_H
#define OQ_BENCH_CHILD_H

#include "base/error.h"

struct oq_child {
    long process; /* 0: none */
    int socket;   /* -1: none */
};

#define OQ_CHILD_NONE ((struct oq_child){.socket = -1})

/*
 * Forks one that calls serve(socket, data) and ends after it, or with its
 * parent. It hears no SIGINT, SIGTERM and SIGHUP, and what it prints goes to
 * standard error. The process must have one thread only.
 */
bool oq_child_start(struct oq_child *child, void (*serve)(int socket, void *data), void *data,
                    onnxq_error *error);

/* In a child: the end of another one's pipe that it was born with. */
void oq_child_forget(const struct oq_child *other);

/* All bytes; false where the other end is closed. */
bool oq_child_send(int socket, const void *bytes, size_t nbytes);
bool oq_child_receive(int socket, void *bytes, size_t nbytes);

/* In the parent, what there is within a moment: 0 for nothing yet, -1 where the child has ended. */
int64_t oq_child_poll(const struct oq_child *child, void *bytes, size_t nbytes);

/* Waits for the end of a child that ends. How: its exit code, or minus the signal. */
int oq_child_wait(struct oq_child *child);
const char *oq_child_signal_name(int signal);
bool oq_child_was_killed(int signal); /* as the system does where memory runs out */

/* Ends it, whatever it does, and waits until it is gone. */
void oq_child_stop(struct oq_child *child);

#endif
