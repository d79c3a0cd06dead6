/* A picture in the size, order, scale and type that a model takes. */
#include "arrays/picture.h"

#include <math.h>
#include <stdlib.h>

/* --- resizing --------------------------------------------------------------------- */

/* Where a pixel of the result lies in a row of n_src pixels, and how wide it is there. */
struct pixel_window {
    double center, radius;
    size_t first, end;
};

static struct pixel_window window_of(size_t i, size_t n_src, size_t n_dst)
{
    double scale = (double)n_src / (double)n_dst;
    struct pixel_window window = {.center = ((double)i + 0.5) * scale, .radius = fmax(scale, 1)};
    double first = floor(window.center - window.radius), end = ceil(window.center + window.radius);
    window.first = first > 0 ? (size_t)first : 0;
    window.end = end < (double)n_src ? (size_t)end : n_src;
    return window;
}

/* What pixel k counts, at its middle. */
static double weight_of(const struct pixel_window *window, size_t k)
{
    return fmax(1 - fabs((double)k + 0.5 - window->center) / window->radius, 0);
}

/* dst[i * step] for i in [0, n_dst) from src[k * step] for k in [0, n_src), each `count` wide. */
static void resize_axis(const float *src, size_t n_src, float *dst, size_t n_dst, size_t step,
                        size_t count)
{
    for (size_t i = 0; i < n_dst; i++) {
        struct pixel_window window = window_of(i, n_src, n_dst);
        double sum = 0;
        for (size_t k = window.first; k < window.end; k++)
            sum += weight_of(&window, k);
        for (size_t c = 0; c < count; c++)
            dst[i * step + c] = 0;
        for (size_t k = window.first; k < window.end; k++) {
            float weight = (float)(weight_of(&window, k) / sum);
            for (size_t c = 0; c < count; c++)
                dst[i * step + c] += weight * src[k * step + c];
        }
    }
}

/* All pixels as floats, [height, width, channels] of the result; NULL: memory is out. */
static float *resize(const struct oq_picture *picture, size_t width, size_t height)
{
    size_t channels = picture->channels, row = width * channels;
    float *line = malloc(picture->width * channels * sizeof(*line));
    float *wide = malloc(picture->height * row * sizeof(*wide)); /* all rows, of the new width */
    float *result = malloc(height * row * sizeof(*result));
    bool ok = line != NULL && wide != NULL && result != NULL;
    for (size_t y = 0; ok && y < picture->height; y++) {
        const uint8_t *src = picture->pixels + y * picture->width * channels;
        for (size_t i = 0; i < picture->width * channels; i++)
            line[i] = src[i];
        resize_axis(line, picture->width, wide + y * row, width, channels, channels);
    }
    if (ok)
        resize_axis(wide, picture->height, result, height, row, row);
    free(line);
    free(wide);
    if (!ok) {
        free(result);
        result = NULL;
    }
    return result;
}

/* --- into an array ------------------------------------------------------------------ */

/* Channel c of a pixel; gray is what ITU-R BT.601 makes of colors. */
static double channel_of(const float *pixel, size_t n_src, size_t c, size_t n_dst)
{
    if (n_src == n_dst)
        return (double)pixel[c];
    return n_src == 1
               ? (double)pixel[0]
               : 0.299 * (double)pixel[0] + 0.587 * (double)pixel[1] + 0.114 * (double)pixel[2];
}

static void fill(struct oq_array *array, const float *pixels, size_t n_pixels, size_t channels,
                 const struct oq_picture_form *form)
{
    for (size_t i = 0; i < n_pixels; i++) {
        for (size_t c = 0; c < form->channels; c++) {
            double value = channel_of(pixels + i * channels, channels, c, form->channels);
            size_t index = form->channels_last ? i * form->channels + c : c * n_pixels + i;
            oq_array_put_double(array, index, (value - form->mean[c]) / form->std[c]);
        }
    }
}

bool oq_picture_to_array(const struct oq_picture *picture, const struct oq_picture_form *form,
                         struct oq_array *array, onnxq_error *error)
{
    size_t width = form->width != 0 ? form->width : picture->width;
    size_t height = form->height != 0 ? form->height : picture->height;
    const int64_t w = (int64_t)width, h = (int64_t)height, c = (int64_t)form->channels;
    const int64_t first[] = {1, c, h, w}, last[] = {1, h, w, c};
    const int64_t *dims = form->channels_last ? last : first;
    size_t skipped = form->has_batch ? 0 : 1;
    if (!oq_array_init(array, form->name, form->data_type, dims + skipped, 4 - skipped, error))
        return false;
    float *pixels = resize(picture, width, height);
    if (pixels == NULL)
        return oq_fail_memory(error);
    fill(array, pixels, width * height, picture->channels, form);
    free(pixels);
    return true;
}
