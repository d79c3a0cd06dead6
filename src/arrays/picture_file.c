/* Which format a picture's file has. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrays/picture.h"

#define MAX_FILE_NBYTES ((uint64_t)256 << 20)

static bool decode(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                   onnxq_error *error)
{
    if (nbytes >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        return oq_picture_decode_png(picture, bytes, nbytes, error);
    if (nbytes >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        return oq_picture_decode_jpeg(picture, bytes, nbytes, error);
    if (nbytes >= 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6'))
        return oq_picture_decode_pnm(picture, bytes, nbytes, error);
    return oq_fail(error, ONNXQ_ERROR_INPUT, "is no PNG, JPEG, PPM (P6) or PGM (P5) picture");
}

bool oq_picture_read(struct oq_picture *picture, const struct oq_file *file, onnxq_error *error)
{
    *picture = (struct oq_picture){0};
    if (file->nbytes > MAX_FILE_NBYTES)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has %" PRIu64 " bytes, expected a picture",
                       file->nbytes);
    size_t nbytes = (size_t)file->nbytes;
    uint8_t *bytes = malloc(nbytes + 1);
    bool ok = bytes != NULL ? oq_file_read(file, 0, bytes, nbytes, error) : oq_fail_memory(error);
    ok = ok && decode(picture, bytes, nbytes, error);
    free(bytes);
    return ok;
}
