/* Room for a picture's pixels, and the two formats that need no library. */
#include "arrays/picture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"

bool oq_picture_init(struct oq_picture *picture, uint64_t width, uint64_t height, size_t channels,
                     onnxq_error *error)
{
    uint64_t nelem = 0;
    *picture = (struct oq_picture){0};
    if (width == 0 || height == 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has no pixels");
    if (!oq_mul_u64(width, height, &nelem) || !oq_mul_u64(nelem, channels, &nelem) ||
        nelem > OQ_PICTURE_MAX_NELEM)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "has %" PRIu64 " x %" PRIu64 " pixels, expected at most %" PRIu64 " million",
                       width, height, OQ_PICTURE_MAX_NELEM / channels >> 20);
    *picture = (struct oq_picture){.width = (size_t)width,
                                   .height = (size_t)height,
                                   .channels = channels,
                                   .pixels = malloc((size_t)nelem)};
    return picture->pixels != NULL || oq_fail_memory(error);
}

void oq_picture_fini(struct oq_picture *picture)
{
    free(picture->pixels);
    *picture = (struct oq_picture){0};
}

/* --- PPM and PGM ------------------------------------------------------------------- */

struct pnm_text {
    const uint8_t *bytes;
    size_t nbytes, at;
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* A number behind white space and comments, which go to the end of their line. */
static bool read_number(struct pnm_text *text, uint64_t *value)
{
    *value = 0;
    while (text->at < text->nbytes &&
           (is_space(text->bytes[text->at]) || text->bytes[text->at] == '#'))
        if (text->bytes[text->at++] == '#')
            while (text->at < text->nbytes && text->bytes[text->at] != '\n')
                text->at++;
    size_t first = text->at;
    for (; text->at < text->nbytes && text->at - first < 9; text->at++) {
        uint8_t digit = (uint8_t)(text->bytes[text->at] - '0');
        if (digit > 9)
            break;
        *value = *value * 10 + digit;
    }
    return text->at > first &&
           (text->at == text->nbytes || text->bytes[text->at] < '0' || text->bytes[text->at] > '9');
}

bool oq_picture_decode_pnm(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                           onnxq_error *error)
{
    struct pnm_text text = {.bytes = bytes, .nbytes = nbytes, .at = 2};
    uint64_t width, height, largest;
    if (!read_number(&text, &width) || !read_number(&text, &height) ||
        !read_number(&text, &largest) || largest == 0 || largest > UINT16_MAX ||
        text.at == nbytes || !is_space(bytes[text.at++]))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has no header of a PPM or PGM file");
    if (!oq_picture_init(picture, width, height, bytes[1] == '6' ? 3 : 1, error))
        return false;
    size_t nelem = picture->width * picture->height * picture->channels;
    size_t step = largest > UINT8_MAX ? 2 : 1;
    if ((nbytes - text.at) / step < nelem)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "ends within the pixels");
    const uint8_t *src = bytes + text.at;
    for (size_t i = 0; i < nelem; i++, src += step) {
        unsigned value = step == 2 ? (unsigned)(src[0] << 8 | src[1]) : src[0];
        value = value < largest ? value : (unsigned)largest;
        picture->pixels[i] = (uint8_t)((value * 255u + (unsigned)largest / 2) / (unsigned)largest);
    }
    return true;
}
