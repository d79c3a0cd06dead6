/* From what a model declares to the form of the pictures that it takes. */
#include "inputs/pictures.h"

#include <inttypes.h>

#include "arrays/picture.h"

/* --- which input -------------------------------------------------------------------- */

static bool takes_pictures(const struct oq_parameter *input)
{
    const struct oq_dtype *dtype = oq_dtype_find(input->data_type);
    return !input->has_default && dtype != NULL && dtype->nbits >= 8 &&
           (!input->has_rank || input->n_dims == 3 || input->n_dims == 4);
}

static const struct oq_parameter *find_input(const struct oq_signature *signature,
                                             onnxq_error *error)
{
    const struct oq_parameter *found = NULL;
    for (size_t i = 0; i < signature->n_inputs; i++) {
        if (!takes_pictures(&signature->inputs[i]))
            continue;
        if (found != NULL) {
            oq_fail(
                error, ONNXQ_ERROR_INPUT,
                "a picture may be for '%.100s' or '%.100s', expected a model with one such input",
                found->name, signature->inputs[i].name);
            return NULL;
        }
        found = &signature->inputs[i];
    }
    if (found == NULL)
        oq_fail(error, ONNXQ_ERROR_INPUT,
                "is a picture, and the model has no input of three or four axes");
    return found;
}

/* --- its axes ------------------------------------------------------------------------ */

static bool is_channels(int64_t size)
{
    return size == 1 || size == 3;
}

/* Size of an axis, counted from the channels-first order C, H, W; -1: open. */
static int64_t size_of(const struct oq_parameter *input, bool channels_last, size_t axis)
{
    static const size_t last[] = {2, 0, 1};
    if (!input->has_rank)
        return -1;
    return input->dims[input->n_dims - 3 + (channels_last ? last[axis] : axis)].size;
}

static bool is_channels_last(const struct oq_parameter *input, enum oq_picture_layout layout)
{
    if (layout != OQ_LAYOUT_AUTO)
        return layout == OQ_LAYOUT_NHWC;
    return !is_channels(size_of(input, false, 0)) && is_channels(size_of(input, true, 0));
}

static bool choose_size(const struct oq_parameter *input, const char *axis, int64_t declared,
                        uint64_t asked, size_t *size, onnxq_error *error)
{
    if (declared > 0 && asked > 0 && (uint64_t)declared != asked)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "--size: the input '%.100s' has a %s of %" PRId64 ", not %" PRIu64,
                       input->name, axis, declared, asked);
    *size = declared > 0 ? (size_t)declared : (size_t)asked;
    return true;
}

static bool choose_channels(const struct oq_parameter *input, struct oq_picture_form *form,
                            onnxq_error *error)
{
    int64_t declared = size_of(input, form->channels_last, 0);
    form->channels = declared == 1 ? 1 : 3;
    if (declared < 0 || is_channels(declared))
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT,
            "the input '%.100s' has %" PRId64 " channels, expected 1 or 3 of a picture",
            input->name, declared);
    oq_error_hint(error, "--image-layout says which axis has them");
    return false;
}

static bool check_batch(const struct oq_parameter *input, onnxq_error *error)
{
    if (!input->has_rank || input->n_dims == 3 || input->dims[0].size == 1 ||
        input->dims[0].size < 0)
        return true;
    return oq_fail(error, ONNXQ_ERROR_INPUT,
                   "the input '%.100s' takes %" PRId64 " pictures at once, expected one",
                   input->name, input->dims[0].size);
}

/*
 * Means and deviations as people write them: for pixels from 0 to 1, as
 * torchvision has them, where a deviation is below 1, which those of 0 to 255
 * never are.
 */
static void choose_scale(const struct oq_picture_settings *settings, struct oq_picture_form *form)
{
    double unit = 1;
    for (size_t c = 0; c < settings->n_std; c++)
        unit = settings->std[c] < 1 ? 255 : unit;
    for (size_t c = 0; c < 3; c++) {
        form->mean[c] = settings->n_mean == 0 ? 0 : unit * settings->mean[c % settings->n_mean];
        form->std[c] = settings->n_std == 0 ? 1 : unit * settings->std[c % settings->n_std];
    }
}

static bool find_form(const struct oq_pictures *pictures, struct oq_picture_form *form,
                      onnxq_error *error)
{
    const struct oq_picture_settings *settings = pictures->settings;
    const struct oq_parameter *input = find_input(pictures->signature, error);
    if (input == NULL)
        return false;
    *form = (struct oq_picture_form){.name = input->name,
                                     .data_type = input->data_type,
                                     .channels_last = is_channels_last(input, settings->layout),
                                     .has_batch = !input->has_rank || input->n_dims == 4};
    choose_scale(settings, form);
    return check_batch(input, error) && choose_channels(input, form, error) &&
           choose_size(input, "height", size_of(input, form->channels_last, 1), settings->height,
                       &form->height, error) &&
           choose_size(input, "width", size_of(input, form->channels_last, 2), settings->width,
                       &form->width, error);
}

/* --- for oq_input_sets ------------------------------------------------------------------ */

static bool make(void *data, const struct oq_file *file, struct oq_array *array, onnxq_error *error)
{
    struct oq_picture_form form;
    struct oq_picture picture;
    if (!find_form(data, &form, error))
        return false;
    bool ok = oq_picture_read(&picture, file, error) &&
              oq_picture_to_array(&picture, &form, array, error);
    oq_picture_fini(&picture);
    return ok;
}

void oq_pictures_init(struct oq_pictures *pictures, const struct oq_signature *signature,
                      const struct oq_picture_settings *settings)
{
    *pictures = (struct oq_pictures){
        .signature = signature, .settings = settings, .maker = {.make = make, .data = pictures}};
}

bool oq_pictures_check(const struct oq_pictures *pictures, onnxq_error *error)
{
    if (!pictures->settings->given || pictures->maker.n_pictures > 0)
        return true;
    return oq_fail(error, ONNXQ_ERROR_OPTION,
                   "--image-layout, --mean, --std and --size are for pictures, and there are none "
                   "among the inputs");
}
