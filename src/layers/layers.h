/*
 * The error that each quantized site adds, in three ways:
 *
 *   added        the site alone, fed with the reference's values, against the reference's result
 *   accumulated  the same value in the candidate's own run, with what all sites before have added
 *   effect       what the added error makes of the outputs, where all else is the reference
 *
 * Effects tell which site to exclude: the squares of effects add up to about
 * the square of the candidate's error, so that the largest one is worth the most.
 */
#ifndef OQ_LAYERS_LAYERS_H
#define OQ_LAYERS_LAYERS_H

#include "base/json.h"
#include "layers/sites.h"
#include "page/page.h"
#include "run/runner.h"

/* All errors are ||difference|| / ||reference|| over all inputs, NAN where they are not known. */
struct oq_layer {
    const struct oq_layer_site *site;
    double added, sqnr, accumulated, effect; /* sqnr of what is added, in dB */
    const char *unmeasured;                  /* why there are none, or NULL */
};

struct oq_layers {
    struct oq_arena arena;
    struct oq_layer_sites sites;
    struct oq_layer *list; /* worst first; unmeasured ones last */
    size_t count;
    size_t n_inside;        /* quantized operators in bodies, of all sites */
    const char *no_effects; /* why no site has an effect, or NULL */
};

/*
 * Runs parts of both models, which have to outlive the result; a mask concerns the effects. What is
 * added takes a quarter of the time without the rest.
 */
struct oq_layers *oq_layers_create(const onnxq_model *reference, const onnxq_model *candidate,
                                   const struct oq_run_setup *setup, bool added_only,
                                   onnxq_error *error);
void oq_layers_destroy(struct oq_layers *layers); /* NULL is fine */

/* --- layers_text.c --- */

/*
 * The table: the worst sites, or all with level > 0, and the command that
 * leaves the worst one as it is in `reference`.
 */
void oq_layers_print_text(const struct oq_layers *layers, const char *reference,
                          const char *candidate, int level, FILE *stream);

/* How many were; they come first. */
size_t oq_layers_count_measured(const struct oq_layers *layers);

/* What stands below the table: what was not measured, and that command. */
void oq_layers_print_notes(const struct oq_layers *layers, const char *reference,
                           const char *candidate, FILE *stream);

/* The members "layers", "layers_common_values" and "layers_no_effects" of an object. */
void oq_layers_write_json(const struct oq_layers *layers, struct oq_json *json);

/* --- layers_page.c --- */

void oq_layers_write_page(const struct oq_layers *layers, const char *reference,
                          const char *candidate, struct oq_page *page);
/* A bar for each of the worst sites. */
void oq_layers_write_svg(const struct oq_layers *layers, FILE *stream);

#endif
