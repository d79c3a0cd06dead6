/*
 * Any bytes as a picture. A success gives sizes within the limit and as many
 * pixels, the same when it is decoded again; and a tensor of the size that was
 * asked for.
 */
#include <string.h>

#include "arrays/picture.h"
#include "fuzz/support.h"
#include "onnx.pb-c.h"

static char *path;

static bool read_picture(struct oq_picture *picture)
{
    struct oq_file file;
    onnxq_error error = {0};
    CHECK(oq_file_open(&file, path, &error));
    bool ok = oq_picture_read(picture, &file, &error);
    oq_file_close(&file);
    if (ok)
        return true;
    fuzz_check_error(&error);
    CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    oq_picture_fini(picture);
    return false;
}

static void check_array(const struct oq_picture *picture)
{
    const struct oq_picture_form form = {.name = "x",
                                         .data_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT,
                                         .channels = 4 - picture->channels,
                                         .width = 3,
                                         .height = 2,
                                         .std = {1, 1, 1}};
    struct oq_array array = {0};
    onnxq_error error = {0};
    CHECK(oq_picture_to_array(picture, &form, &array, &error) && array.nelem == 6 * form.channels);
    const float *values = array.data;
    for (size_t i = 0; i < array.nelem; i++)
        CHECK(values[i] >= -0.01f && values[i] <= 255.01f);
    oq_array_fini(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_picture a, b;
    if (!path)
        path = fuzz_path("picture");
    fuzz_write(path, data, nbytes);
    if (!read_picture(&a))
        return 0;
    size_t n = a.width * a.height * a.channels;
    CHECK(n > 0 && n <= OQ_PICTURE_MAX_NELEM && (a.channels == 1 || a.channels == 3));
    CHECK(read_picture(&b) && a.width == b.width && a.height == b.height);
    CHECK(a.channels == b.channels && memcmp(a.pixels, b.pixels, n) == 0);
    if (n <= 1 << 20)
        check_array(&a);
    oq_picture_fini(&a);
    oq_picture_fini(&b);
    return 0;
}
