/* JPEG, by libjpeg (libjpeg-turbo). */
#include "arrays/picture.h"

#if defined(OQ_HAVE_JPEG)

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>

/* libjpeg ends with a call of error_exit(), which may not return. */
struct failure {
    struct jpeg_error_mgr manager; /* first */
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

static void leave(j_common_ptr info)
{
    struct failure *failure = (struct failure *)info->err;
    failure->manager.format_message(info, failure->message);
    longjmp(failure->back, 1);
}

/* Warnings: a file that is cut short is decoded with gray for what is missing; that is a failure.
 */
static void leave_at_warning(j_common_ptr info, int level)
{
    if (level < 0)
        leave(info);
}

/* Comes back by longjmp() where libjpeg fails; everything that has to be released is the caller's.
 */
static bool decode(struct jpeg_decompress_struct *info, struct oq_picture *picture,
                   const uint8_t *bytes, size_t nbytes, onnxq_error *error)
{
    jpeg_mem_src(info, bytes, (unsigned long)nbytes);
    jpeg_read_header(info, TRUE);
    bool is_gray = info->num_components == 1;
    if (info->num_components > 3)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is a JPEG of %d colors, expected 1 or 3",
                       info->num_components);
    info->out_color_space = is_gray ? JCS_GRAYSCALE : JCS_RGB;
    info->dct_method = JDCT_ISLOW; /* the one that is the same everywhere */
    if (!oq_picture_init(picture, info->image_width, info->image_height, is_gray ? 1 : 3, error))
        return false;
    jpeg_start_decompress(info);
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = picture->pixels + info->output_scanline * picture->width * picture->channels;
        jpeg_read_scanlines(info, &row, 1);
    }
    return jpeg_finish_decompress(info);
}

bool oq_picture_decode_jpeg(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                            onnxq_error *error)
{
    struct failure failure;
    struct jpeg_decompress_struct info;
    volatile bool ok = false;
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = leave;
    failure.manager.emit_message = leave_at_warning;
    if (setjmp(failure.back) == 0) {
        jpeg_create_decompress(&info);
        ok = decode(&info, picture, bytes, nbytes, error);
    } else {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is no valid JPEG: %s", failure.message);
    }
    jpeg_destroy_decompress(&info);
    return ok;
}

#else

bool oq_picture_decode_jpeg(struct oq_picture *picture, const uint8_t *bytes, size_t nbytes,
                            onnxq_error *error)
{
    (void)picture, (void)bytes, (void)nbytes;
    return oq_fail(error, ONNXQ_ERROR_INPUT, "is a JPEG, and this onnxq was built without libjpeg");
}

#endif
