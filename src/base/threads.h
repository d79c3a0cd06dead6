/* Threads, and the one means by which they wait for each other: threads_posix.c. */
#ifndef OQ_BASE_THREADS_H
#define OQ_BASE_THREADS_H

#include <stdbool.h>

/* A lock with a signal that something has changed. NULL where there is no memory for it. */
struct oq_monitor;
struct oq_monitor *oq_monitor_create(void);
void oq_monitor_destroy(struct oq_monitor *monitor); /* NULL is fine */
void oq_monitor_enter(struct oq_monitor *monitor);
void oq_monitor_leave(struct oq_monitor *monitor);
void oq_monitor_wait(struct oq_monitor *monitor);   /* inside: until somebody tells */
void oq_monitor_change(struct oq_monitor *monitor); /* inside: tells all who wait */

/* Calls work(argument) in a thread of its own. NULL where there is none left. */
struct oq_thread;
struct oq_thread *oq_thread_start(void *(*work)(void *argument), void *argument);
void oq_thread_join(struct oq_thread *thread);

#endif
