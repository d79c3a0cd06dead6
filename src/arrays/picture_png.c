/* PNG, by libpng's own simplified interface. */
#include "arrays/picture.h"

#if defined(OQ_HAVE_PNG)

#include <png.h>
#include <string.h>

static bool refuse(png_image *image, onnxq_error *error)
{
    oq_fail(error, ONNXQ_ERROR_INPUT, "is no valid PNG: %s", image->message);
    png_image_free(image);
    return false;
}

/* Without the last channel of each pixel, in place. */
static void drop_alpha(uint8_t *pixels, size_t n, size_t channels)
{
    for (size_t i = 1; i < n; i++)
        memmove(pixels + i * channels, pixels + i * (channels + 1), channels);
}

bool oq_picture_decode_png(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                           onnxq_error *error)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, bytes, nbytes))
        return refuse(&image, error);
    bool has_color = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
    bool has_alpha = (image.format & PNG_FORMAT_FLAG_ALPHA) != 0;
    size_t channels = has_color ? 3 : 1;
    image.format = has_color ? (has_alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB)
                             : (has_alpha ? PNG_FORMAT_GA : PNG_FORMAT_GRAY);
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    if (!oq_picture_init(picture, image.width, image.height, channels + has_alpha, error)) {
        png_image_free(&image);
        return false;
    }
    if (!png_image_finish_read(&image, NULL, picture->pixels, 0, NULL))
        return refuse(&image, error);
    picture->channels = channels;
    if (has_alpha)
        drop_alpha(picture->pixels, picture->width * picture->height, channels);
    return true;
}

#else

bool oq_picture_decode_png(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                           onnxq_error *error)
{
    (void)picture, (void)bytes, (void)nbytes;
    return oq_fail(error, ONNXQ_ERROR_INPUT, "is a PNG, and this onnxq was built without libpng");
}

#endif
