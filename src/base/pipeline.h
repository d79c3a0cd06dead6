/*
 * An ordered pipeline: worker threads produce jobs 0, 1, 2, ... into buffers,
 * the calling thread consumes them in that order. What is consumed does not
 * depend on the number of threads, and neither does the error that is
 * reported: it is that of the first job that failed.
 */
#ifndef OQ_BASE_PIPELINE_H
#define OQ_BASE_PIPELINE_H

#include "base/error.h"

struct oq_pipeline {
    unsigned threads; /* 0: one per processor */
    size_t njobs;
    size_t buffer_nbytes;  /* what one job produces at most */
    size_t scratch_nbytes; /* working memory of a producer */
    void *context;
    /* Runs on a worker: fills buffer. Must not write to anything shared. */
    bool (*produce)(void *context, size_t job, void *buffer, void *scratch, onnxq_error *error);
    /* Runs on the calling thread, in the order of jobs. */
    bool (*consume)(void *context, size_t job, const void *buffer, onnxq_error *error);
};

bool oq_pipeline_run(const struct oq_pipeline *pipeline, onnxq_error *error);

#endif
