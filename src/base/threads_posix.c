/* Threads by pthreads. */
#define _POSIX_C_SOURCE 200809L
#include "base/threads.h"

#include <pthread.h>
#include <stdlib.h>

struct oq_monitor {
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct oq_thread {
    pthread_t thread;
};

struct oq_monitor *oq_monitor_create(void)
{
    struct oq_monitor *monitor = malloc(sizeof(*monitor));
    if (monitor != NULL)
        *monitor = (struct oq_monitor){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
    return monitor;
}

void oq_monitor_destroy(struct oq_monitor *monitor)
{
    if (monitor == NULL)
        return;
    pthread_cond_destroy(&monitor->changed);
    pthread_mutex_destroy(&monitor->lock);
    free(monitor);
}

void oq_monitor_enter(struct oq_monitor *monitor)
{
    pthread_mutex_lock(&monitor->lock);
}

void oq_monitor_leave(struct oq_monitor *monitor)
{
    pthread_mutex_unlock(&monitor->lock);
}

void oq_monitor_wait(struct oq_monitor *monitor)
{
    pthread_cond_wait(&monitor->changed, &monitor->lock);
}

void oq_monitor_change(struct oq_monitor *monitor)
{
    pthread_cond_broadcast(&monitor->changed);
}

struct oq_thread *oq_thread_start(void *(*work)(void *argument), void *argument)
{
    struct oq_thread *thread = malloc(sizeof(*thread));
    if (thread != NULL && pthread_create(&thread->thread, NULL, work, argument) != 0) {
        free(thread);
        thread = NULL;
    }
    return thread;
}

void oq_thread_join(struct oq_thread *thread)
{
    pthread_join(thread->thread, NULL);
    free(thread);
}
