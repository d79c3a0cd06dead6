/*
 * A changed copy of a model for the engine, in memory: more outputs, other
 * inputs, or a part of its graph. Weights stay in the files that hold them: the
 * copy refers to them as side files, the model file itself included.
 */
#ifndef OQ_LAYERS_PROBE_H
#define OQ_LAYERS_PROBE_H

#include "layers/sites.h"
#include "engine/session.h"

struct oq_probe {
    const onnxq_model *model;
    struct oq_arena arena;
    Oq__Pb__ModelProto *proto; /* nodes in the order of the model's own */
    char *folder;              /* that holds all files */
};

/* Release with oq_probe_fini(), after a failure too. */
bool oq_probe_init(struct oq_probe *probe, const onnxq_model *model, onnxq_error *error);
void oq_probe_fini(struct oq_probe *probe);

/* A name that no value of the model has. NULL when memory is out. */
const char *oq_probe_name(struct oq_probe *probe, const char *base, const char *suffix);

/* A value becomes an output, where it is none yet. */
bool oq_probe_add_output(struct oq_probe *probe, const char *name, onnxq_error *error);

/* An input that takes arrays of this type and, where `like` has dims, of that rank. */
bool oq_probe_add_input(struct oq_probe *probe, const char *name, const struct oq_array *like,
                        bool has_rank, onnxq_error *error);

/*
 * Leaves of the graph what makes the values of sites. The values themselves get
 * new names, made[k] those of value k over all sites, and become the outputs;
 * under its own name each is an input, as are all values that the sites read:
 * the caller adds the inputs.
 */
bool oq_probe_keep_sites(struct oq_probe *probe, const struct oq_layer_site *const *sites,
                         size_t n_sites, const char **made, onnxq_error *error);

/*
 * value = value + delta, where delta is a new input whose name is returned; NULL
 * on failure. `like` has the value's type.
 */
const char *oq_probe_add_delta(struct oq_probe *probe, const char *value,
                               const struct oq_array *like, onnxq_error *error);

/* The same for many, each named once. */
bool oq_probe_add_outputs(struct oq_probe *probe, const char *const *names, size_t n,
                          onnxq_error *error);

/*
 * Leaves away all nodes but the first n, and outputs that they do not make. The
 * nodes have to stand in the order in which they are computed.
 */
void oq_probe_keep_first(struct oq_probe *probe, size_t n);

/* The shapes of values as new outputs; shapes[k] is the name of the shape of names[k]. */
bool oq_probe_add_shapes(struct oq_probe *probe, const char *const *names, size_t n,
                         const char **shapes, onnxq_error *error);

/* The model file as the engine takes it, in memory: *bytes is the caller's to free(), after a
   failure too. */
bool oq_probe_write(const struct oq_probe *probe, uint8_t **bytes, size_t *nbytes,
                    onnxq_error *error);
struct oq_session *oq_probe_open(const struct oq_probe *probe, struct oq_engine *engine,
                                 const struct oq_session_options *options, onnxq_error *error);

#endif
