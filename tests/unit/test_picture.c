/* Pictures as inputs: formats, broken files, resizing against a direct sum, and what models take.
 */
#include "arrays/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "inputs/feed.h"
#include "support/inputs.h"
#include "support/models.h"

#if defined(OQ_HAVE_PNG)
#include <png.h>
#endif
#if defined(OQ_HAVE_JPEG)
#include <stdio.h>
#include <jpeglib.h>
#endif

static void release(void *picture)
{
    oq_picture_fini(picture);
}

/* NULL, and the error, where it is refused. */
static struct oq_picture *read_picture(const char *name, onnxq_error *error)
{
    struct oq_picture *picture = test_alloc(sizeof(*picture));
    struct oq_file file;
    oq_error_init(error);
    assert_true(oq_file_open(&file, test_path(name), error));
    bool ok = oq_picture_read(picture, &file, error);
    oq_file_close(&file);
    test_defer(release, picture);
    return ok ? picture : NULL;
}

/* "2x1x3: 1 2 3 4 5 6", or the error. */
static const char *text_of(const char *name)
{
    onnxq_error error;
    const struct oq_picture *picture = read_picture(name, &error);
    if (picture == NULL)
        return test_printf("%s", error.message);
    char *text = test_printf("%zux%zux%zu:", picture->width, picture->height, picture->channels);
    for (size_t i = 0; i < picture->width * picture->height * picture->channels; i++)
        text = test_printf("%s %u", text, picture->pixels[i]);
    return text;
}

/* --- PPM, PGM, and what is neither ------------------------------------------------------ */

#define BYTES(text) text, sizeof(text) - 1

static const struct row {
    const char *name, *bytes;
    size_t nbytes;
    const char *expected;
} rows[] = {
    {"colors", BYTES("P6\n2 1\n255\n\x01\x02\x03\xff\xfe\xfd"), "2x1x3: 1 2 3 255 254 253"},
    {"gray", BYTES("P5 1 2 255 \x07\x08"), "1x2x1: 7 8"},
    {"comments", BYTES("P5 # 9 9\n#\n1 2# 3\n255\n\x07\x08"), "1x2x1: 7 8"},
    {"a smaller maximum", BYTES("P5 4 1 15\n\x00\x07\x0f\x10"), "4x1x1: 0 119 255 255"},
    {"16 bits", BYTES("P5 2 1 65535\n\x00\x80\xff\xff"), "2x1x1: 0 255"},
    {"more behind", BYTES("P5 1 1 255\n\x07\x08"), "1x1x1: 7"},
    {"cut short", BYTES("P5 2 2 255\n\x07\x08\x09"), "ends within the pixels"},
    {"no maximum", BYTES("P5 2 2\n"), "has no header of a PPM or PGM file"},
    {"a maximum of 0", BYTES("P5 1 1 0\n\x07"), "has no header of a PPM or PGM file"},
    {"no pixels", BYTES("P5 0 1 255\n"), "has no pixels"},
    {"too many pixels", BYTES("P6 99999 99999 255\n"),
     "has 99999 x 99999 pixels, expected at most 64 million"},
    {"longer than numbers are", BYTES("P5 9999999999 1 255\n"),
     "has no header of a PPM or PGM file"},
    {"letters", BYTES("P5 a b c"), "has no header of a PPM or PGM file"},
    {"text", BYTES("P3 1 1 255 1"), "is no PNG, JPEG, PPM (P6) or PGM (P5) picture"},
    {"empty", BYTES(""), "is no PNG, JPEG, PPM (P6) or PGM (P5) picture"},
};

static void test_pnm(void **state)
{
    const struct row *row = *state;
    test_write_file(test_path("a.ppm"), row->bytes, row->nbytes);
    check_text(text_of("a.ppm"), row->expected);
}

/* --- PNG ----------------------------------------------------------------------------------- */

#if defined(OQ_HAVE_PNG)
static const struct png_row {
    const char *name;
    png_uint_32 format;
    uint8_t pixels[16];
    const char *expected;
} png_rows[] = {
    {"gray", PNG_FORMAT_GRAY, {1, 2, 3, 255}, "2x2x1: 1 2 3 255"},
    {"colors",
     PNG_FORMAT_RGB,
     {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
     "2x2x3: 1 2 3 4 5 6 7 8 9 10 11 12"},
    {"alpha goes",
     PNG_FORMAT_RGBA,
     {1, 2, 3, 0, 4, 5, 6, 128, 7, 8, 9, 255, 10, 11, 12, 9},
     "2x2x3: 1 2 3 4 5 6 7 8 9 10 11 12"},
    {"gray and alpha", PNG_FORMAT_GA, {1, 0, 2, 9, 3, 255, 4, 7}, "2x2x1: 1 2 3 4"},
};

static void write_png(const char *name, const struct png_row *row)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = 2, .height = 2, .format = row->format};
    assert_true(png_image_write_to_file(&image, test_path(name), 0, row->pixels, 0, NULL));
}

static void test_png(void **state)
{
    const struct png_row *row = *state;
    write_png("a.png", row);
    check_text(text_of("a.png"), row->expected);
}

/* A palette, and 16 bits of which the upper 8 are left. */
static void test_png_forms(void **state)
{
    (void)state;
    const uint8_t colors[] = {9, 8, 7, 200, 100, 50}, places[] = {0, 1, 1, 0};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = 2,
                       .height = 2,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .colormap_entries = 2};
    assert_true(png_image_write_to_file(&image, test_path("a.png"), 0, places, 0, colors));
    check_text(text_of("a.png"), "2x2x3: 9 8 7 200 100 50 200 100 50 9 8 7");
}

/* Cut anywhere, or with a byte changed, it is refused with a line; it is never half a picture. */
static void test_png_broken(void **state)
{
    (void)state;
    size_t nbytes;
    onnxq_error error;
    write_png("a.png", &png_rows[1]);
    uint8_t *bytes = test_read_file(test_path("a.png"), &nbytes);
    for (size_t i = 0; i + 12 < nbytes; i++) {
        test_write_file(test_path("b.png"), bytes, i);
        assert_null(read_picture("b.png", &error));
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    }
    for (size_t i = 16; i < 24; i++) { /* width and height: the checksum tells */
        bytes[i] ^= 0x40;
        test_write_file(test_path("b.png"), bytes, nbytes);
        assert_null(read_picture("b.png", &error));
        assert_non_null(strstr(error.message, "is no valid PNG"));
        bytes[i] ^= 0x40;
    }
}
#endif

/* --- JPEG ----------------------------------------------------------------------------------- */

#if defined(OQ_HAVE_JPEG)
/* 16 x 8 pixels of one color, which JPEG keeps. */
static void write_jpeg(const char *name, J_COLOR_SPACE space, int channels, const uint8_t *color)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(test_path(name), "wb");
    assert_non_null(file);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_stdio_dest(&info, file);
    info.image_width = 16;
    info.image_height = 8;
    info.input_components = channels;
    info.in_color_space = space;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 100, TRUE);
    jpeg_start_compress(&info, TRUE);
    uint8_t line[16 * 4];
    for (int i = 0; i < 16 * channels; i++)
        line[i] = color[i % channels];
    JSAMPROW row = line;
    for (int y = 0; y < 8; y++)
        jpeg_write_scanlines(&info, &row, 1);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    assert_int_equal(fclose(file), 0);
}

static void test_jpeg(void **state)
{
    (void)state;
    const uint8_t color[] = {200, 100, 50, 7};
    onnxq_error error;
    write_jpeg("a.jpg", JCS_RGB, 3, color);
    const struct oq_picture *picture = read_picture("a.jpg", &error);
    assert_non_null(picture);
    assert_int_equal(picture->width, 16);
    assert_int_equal(picture->height, 8);
    assert_int_equal(picture->channels, 3);
    for (size_t i = 0; i < 16 * 8 * 3; i++)
        assert_in_range(picture->pixels[i] + 2, color[i % 3], color[i % 3] + 4);
    write_jpeg("b.jpg", JCS_GRAYSCALE, 1, color);
    picture = read_picture("b.jpg", &error);
    assert_non_null(picture);
    assert_int_equal(picture->channels, 1);
    assert_in_range(picture->pixels[100], 199, 201);
    write_jpeg("c.jpg", JCS_CMYK, 4, color);
    check_text(text_of("c.jpg"), "is a JPEG of 4 colors, expected 1 or 3");
}

static void test_jpeg_broken(void **state)
{
    (void)state;
    const uint8_t color[] = {200, 100, 50};
    size_t nbytes;
    onnxq_error error;
    write_jpeg("a.jpg", JCS_RGB, 3, color);
    const uint8_t *bytes = test_read_file(test_path("a.jpg"), &nbytes);
    for (size_t i = 0; i + 1 < nbytes; i += 3) {
        test_write_file(test_path("b.jpg"), bytes, i);
        assert_null(read_picture("b.jpg", &error));
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    }
    assert_non_null(strstr(error.message, "is no valid JPEG: "));
}
#endif

/* --- resizing --------------------------------------------------------------------------------- */

/* The same triangle, over the whole picture at once. */
static double reference_pixel(const struct oq_picture *picture, size_t x, size_t y, size_t width,
                              size_t height)
{
    double sx = (double)picture->width / (double)width;
    double sy = (double)picture->height / (double)height, sum = 0, weights = 0;
    for (size_t j = 0; j < picture->height; j++) {
        for (size_t i = 0; i < picture->width; i++) {
            double dx = fabs((double)i + 0.5 - ((double)x + 0.5) * sx) / fmax(sx, 1);
            double dy = fabs((double)j + 0.5 - ((double)y + 0.5) * sy) / fmax(sy, 1);
            double weight = fmax(1 - dx, 0) * fmax(1 - dy, 0);
            sum += weight * picture->pixels[j * picture->width + i];
            weights += weight;
        }
    }
    return sum / weights;
}

static void release_array(void *array)
{
    oq_array_fini(array);
}

static struct oq_array *to_array(const struct oq_picture *picture,
                                 const struct oq_picture_form *form)
{
    onnxq_error error;
    struct oq_array *array = test_alloc(sizeof(*array));
    oq_error_init(&error);
    test_defer(release_array, array);
    assert_true(oq_picture_to_array(picture, form, array, &error));
    return array;
}

static void test_resize(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{7, 5}, {14, 10}, {3, 2}, {1, 1}, {20, 3}, {7, 9}};
    uint8_t pixels[7 * 5];
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 37 % 256);
    const struct oq_picture picture = {.width = 7, .height = 5, .channels = 1, .pixels = pixels};
    for (size_t k = 0; k < COUNT(sizes); k++) {
        const struct oq_picture_form form = {.name = "x",
                                             .data_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT,
                                             .channels = 1,
                                             .width = sizes[k][0],
                                             .height = sizes[k][1],
                                             .std = {1}};
        const float *found = to_array(&picture, &form)->data;
        for (size_t y = 0; y < form.height; y++)
            for (size_t x = 0; x < form.width; x++) {
                double expected = reference_pixel(&picture, x, y, form.width, form.height);
                assert_true(fabs((double)found[y * form.width + x] - expected) < 1e-3);
                if (k == 0)
                    assert_true(found[y * form.width + x] == (float)pixels[y * 7 + x]);
            }
    }
}

/* --- what models take ---------------------------------------------------------------------------
 */

static const struct form_row {
    const char *name, *input;
    struct oq_picture_settings settings;
    const char *expected; /* of a picture of 2 x 1: pixels 10 20 30 and 40 50 60 */
} forms[] = {
    {"channels first", "float32[1,3,1,2]", {0}, "x float32 [1,3,1,2]: 10 40 20 50 30 60"},
    {"channels last", "float32[1,H,2,3]", {0}, "x float32 [1,1,2,3]: 10 20 30 40 50 60"},
    {"open sizes", "float32[N,3,H,W]", {0}, "x float32 [1,3,1,2]: 10 40 20 50 30 60"},
    {"nothing known", "float32", {0}, "x float32 [1,3,1,2]: 10 40 20 50 30 60"},
    {"no batch", "float32[3,H,W]", {0}, "x float32 [3,1,2]: 10 40 20 50 30 60"},
    {"bytes", "uint8[1,H,W,3]", {0}, "x uint8 [1,1,2,3]: 10 20 30 40 50 60"},
    {"gray", "float32[1,1,1,2]", {0}, "x float32 [1,1,1,2]: 18.15 48.15"},
    {"a layout",
     "float32[1,H,W,C]",
     {.given = true, .layout = OQ_LAYOUT_NHWC},
     "x float32 [1,1,2,3]: 10 20 30 40 50 60"},
    {"a size",
     "float32[1,3,H,W]",
     {.given = true, .width = 1, .height = 1},
     "x float32 [1,3,1,1]: 25 35 45"},
    {"half", "float16[1,3,H,W]", {0}, "x float16 [1,3,1,2]: 10 40 20 50 30 60"},
    {"one mean",
     "float32[1,3,H,W]",
     {.given = true, .n_mean = 1, .mean = {10}, .n_std = 1, .std = {2}},
     "x float32 [1,3,1,2]: 0 15 5 20 10 25"},
    {"three, of 0 to 1",
     "float32[1,3,H,W]",
     {.given = true, .n_mean = 3, .mean = {0, 0.2, 0.4}, .n_std = 3, .std = {0.5, 1, 1}},
     "x float32 [1,3,1,2]: 0.0784314 0.313726 -0.121569 -0.00392157 -0.282353 -0.164706"},
    {"another size",
     "float32[1,3,4,4]",
     {.given = true, .width = 5, .height = 4},
     "--size: the input 'x' has a width of 4, not 5"},
    {"other channels",
     "float32[1,4,H,W]",
     {0},
     "the input 'x' has 4 channels, expected 1 or 3 of a picture"},
    {"a batch", "float32[8,3,H,W]", {0}, "the input 'x' takes 8 pictures at once, expected one"},
    {"no picture",
     "float32[1,3]",
     {0},
     "is a picture, and the model has no input of three or four axes"},
    {"two",
     "float32[1,3,H,W]; in y float32[1,3,H,W]",
     {0},
     "a picture may be for 'x' or 'y', expected a model with one such input"},
};

static void release_sets(void *sets)
{
    oq_input_sets_fini(sets);
}

static const char *sets_text(const char *input, const struct oq_picture_settings *settings,
                             const char *path)
{
    onnxq_error error;
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_model *model = test_model(test_printf("in x %s; y2 = Abs(x); out y2 float32\n", input));
    struct oq_signature signature = test_signature(model);
    const onnxq_model *models[] = {model};
    const struct oq_feed_options options = {.paths = &path, .n_paths = 1, .pictures = *settings};
    oq_error_init(&error);
    test_defer(release_sets, sets);
    if (!oq_feed_make(sets, models, 1, &signature, &options, &error))
        return test_printf("%s", error.message);
    char *text = test_printf("%s", "");
    for (size_t s = 0; s < sets->count; s++) {
        const struct oq_array *array = &sets->list[s].inputs.list[0];
        char type[128];
        oq_array_describe(array, type, sizeof(type));
        text = test_printf("%s%s%s %s:", text, s > 0 ? "; " : "", array->name, type);
        for (uint64_t i = 0; i < array->nelem; i++) {
            double value;
            oq_array_read_doubles(array, i, 1, &value);
            text = test_printf("%s %.6g", text, value);
        }
    }
    return text;
}

static void write_pixels(const char *name, uint8_t first)
{
    uint8_t bytes[] = "P6 2 1 255\n......";
    for (uint8_t i = 0; i < 6; i++)
        bytes[11 + i] = (uint8_t)(first + 10 * i);
    test_write_file(test_path(name), bytes, sizeof(bytes) - 1);
}

static void test_form(void **state)
{
    const struct form_row *row = *state;
    write_pixels("a.ppm", 10);
    check_text(sets_text(row->input, &row->settings, test_path("a.ppm")), row->expected);
}

/* A set for each picture, in the order of names; nothing else may lie beside them. */
static void test_folder(void **state)
{
    (void)state;
    const struct oq_picture_settings none = {0}, given = {.given = true, .width = 2, .height = 1};
    assert_int_equal(mkdir(test_path("p"), 0777), 0);
    write_pixels("p/b10.ppm", 2);
    write_pixels("p/b9.PPM", 1);
    test_write_file(test_path("p/labels.txt"), "", 0);
    check_text(sets_text("float32[1,H,2,3]", &none, test_path("p")),
               "x float32 [1,1,2,3]: 1 11 21 31 41 51; x float32 [1,1,2,3]: 2 12 22 32 42 52");
    test_write_file(test_path("p/x.npy"), "", 0);
    check_text(sets_text("float32[1,H,2,3]", &none, test_path("p")),
               "holds \"b9.PPM\" and \"x.npy\", expected one kind of inputs and nothing else");
    check_text(test_inputs("p/b10.ppm"), "p/b10.ppm: is a picture, expected arrays");
    test_write_file(test_path("x.npz"), "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    check_text(
        sets_text("float32[1,H,2,3]", &given, test_path("x.npz")),
        "--image-layout, --mean, --std and --size are for pictures, and there are none among "
        "the inputs");
}

int main(void)
{
    TEST_ROWS(test_pnm, rows);
#if defined(OQ_HAVE_PNG)
    TEST_ROWS(test_png, png_rows);
    TEST(test_png_forms);
    TEST(test_png_broken);
#endif
#if defined(OQ_HAVE_JPEG)
    TEST(test_jpeg);
    TEST(test_jpeg_broken);
#endif
    TEST(test_resize);
    TEST_ROWS(test_form, forms);
    TEST(test_folder);
    return suite_run();
}
