/*
 * Models and plans of the test that runs, made from text (text.h), and outputs
 * read back. Everything is released when the test ends. What is not expected
 * to fail fails the test.
 */
#ifndef SUPPORT_MODELS_H
#define SUPPORT_MODELS_H

#include "model/model.h"
#include "support/suite.h"
#include "support/text.h"

/* A builder with the model; "" is the empty one. */
struct builder *test_builder(const char *text);

/* Writes the model to model.onnx in the test's folder and opens it. */
onnxq_model *test_open(struct builder *builder);
onnxq_model *test_model(const char *text);

onnxq_model *test_open_path(const char *path);
/* Opening must fail: the error as text. */
const char *test_open_error(const char *path);

onnxq_plan *test_plan(const onnxq_model *model, const onnxq_options *options);
onnxq_plan *test_estimate(const onnxq_model *model, const onnxq_options *options);

/* One line a use: weight: operator.input action form (reason) */
const char *test_plan_text(const onnxq_plan *plan);

/* Default options, all weights large enough. */
onnxq_options test_options(void);

/* Fails where the output of a valid model is not valid. */
void test_check_output(const onnxq_model *model, const char *path);

/* Carries the plan out under the name out.onnx, or `name`; returns the path. */
const char *test_write(const onnxq_plan *plan);
const char *test_write_as(const onnxq_plan *plan, const char *name);

/* --- outputs, read with nothing but protobuf-c --- */

Oq__Pb__ModelProto *test_read_model(const char *path);
const Oq__Pb__TensorProto *test_tensor(const Oq__Pb__GraphProto *graph, const char *name);
const Oq__Pb__NodeProto *test_node(const Oq__Pb__GraphProto *graph, const char *output);

/* The elements as raw_data has them, from the side file beside `path` where they are there. */
const void *test_elements(const char *path, const Oq__Pb__TensorProto *tensor, size_t *nbytes);

/* Graph of the model as text (text.h). */
const char *test_graph_text(const Oq__Pb__GraphProto *graph);

#endif
