/* What is written of a checkpoint: every byte, in any stretch, against the numbers it was made of.
 */
#include "quantize/plan/plan.h"

#include "support/models.h"
#include "support/recipes.h"
#include "support/safetensors.h"

static const struct row {
    const char *name;
    struct test_module module;
    bool is_turned; /* the model's weight is stored [columns, rows] */
    size_t block_size;
} rows[] = {
#define GPTQ .name = "m", .stores_less = true
#define LIES false
#define TURN true
    {"4 bits", {GPTQ, .bits = 4, .rows = 256, .columns = 64, .group_size = 32}, LIES, 32},
    {"4 bits, turned", {GPTQ, .bits = 4, .rows = 256, .columns = 64, .group_size = 32}, TURN, 32},
    {"2 bits", {GPTQ, .bits = 2, .rows = 256, .columns = 64, .group_size = 64}, LIES, 64},
    {"8 bits", {GPTQ, .bits = 8, .rows = 256, .columns = 64, .group_size = 128}, LIES, 128},
    {"symmetric",
     {GPTQ, .bits = 4, .rows = 256, .columns = 64, .group_size = 32, .is_symmetric = true},
     LIES,
     32},
    {"second format, symmetric",
     {.name = "m", .bits = 4, .rows = 256, .columns = 64, .group_size = 32, .is_symmetric = true},
     LIES,
     32},
    {"AWQ",
     {.name = "m", .bits = 4, .rows = 256, .columns = 64, .group_size = 64, .is_awq = true},
     LIES,
     64},
    {"AWQ, turned",
     {.name = "m", .bits = 4, .rows = 160, .columns = 1096, .group_size = 32, .is_awq = true},
     TURN,
     32},
    {"groups of 48: blocks of 16",
     {GPTQ, .bits = 4, .rows = 288, .columns = 64, .group_size = 48},
     LIES,
     16},
    {"groups of 512: blocks of 256",
     {GPTQ, .bits = 4, .rows = 1024, .columns = 64, .group_size = 512},
     LIES,
     256},
    {"one group, filled up",
     {GPTQ, .bits = 4, .rows = 200, .columns = 64, .group_size = 200},
     LIES,
     128},
    {"an odd number of blocks",
     {GPTQ, .bits = 2, .rows = 208, .columns = 64, .group_size = 16},
     LIES,
     16},
    {"in another order",
     {GPTQ, .bits = 4, .rows = 256, .columns = 64, .group_size = 32, .has_order = true},
     LIES,
     32},
    {"in another order, turned",
     {GPTQ, .bits = 8, .rows = 320, .columns = 64, .group_size = 64, .has_order = true},
     TURN,
     64},
    {"more than a tile",
     {GPTQ, .bits = 4, .rows = 1536, .columns = 1600, .group_size = 64},
     LIES,
     64},
    {"a long column",
     {GPTQ, .bits = 4, .rows = 65536, .columns = 16, .group_size = 128},
     LIES,
     128},
};

/* --- what has to come out --- */

/* The rows of a group as they follow; groups one behind the other. */
static size_t *sort_rows(const struct test_module *module)
{
    size_t *order = test_alloc(module->rows * sizeof(*order)), n = 0;
    for (size_t g = 0; n < module->rows; g++)
        for (size_t k = 0; k < module->rows; k++)
            if (module->groups[k] == g)
                order[n++] = k;
    return order;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static void put_code(uint8_t *bytes, size_t i, unsigned bits, uint8_t code)
{
    bytes[i * bits / 8] |= (uint8_t)(code << (i * bits % 8));
}

static const uint8_t *expect_integers(const struct row *row, const struct test_module *m)
{
    const size_t length = divide_up(m->rows, row->block_size) * row->block_size;
    const size_t n_groups = divide_up(m->rows, m->group_size);
    const size_t *order = sort_rows(m);
    uint8_t *bytes = test_alloc(m->columns * length * m->bits / 8);
    for (size_t n = 0; n < m->columns; n++)
        for (size_t i = 0; i < length; i++)
            put_code(bytes, n * length + i, m->bits,
                     i < m->rows ? m->codes[order[i] * m->columns + n]
                                 : m->zeros[(n_groups - 1) * m->columns + n]);
    return bytes;
}

static const uint8_t *expect_zero_points(const struct row *row, const struct test_module *m)
{
    const size_t n_blocks = divide_up(m->rows, row->block_size);
    const size_t length = divide_up(n_blocks * m->bits, 8) * 8 / m->bits;
    uint8_t *bytes = test_alloc(m->columns * length * m->bits / 8);
    for (size_t n = 0; n < m->columns; n++)
        for (size_t b = 0; b < n_blocks; b++)
            put_code(bytes, n * length + b, m->bits,
                     m->zeros[b * row->block_size / m->group_size * m->columns + n]);
    return bytes;
}

static const float *expect_scales(const struct row *row, const struct test_module *m)
{
    const size_t n_blocks = divide_up(m->rows, row->block_size);
    float *scales = test_alloc(m->columns * n_blocks * sizeof(*scales));
    for (size_t n = 0; n < m->columns; n++)
        for (size_t b = 0; b < n_blocks; b++)
            scales[n * n_blocks + b] =
                m->scales[b * row->block_size / m->group_size * m->columns + n] * 0.5f;
    return scales;
}

/* --- what does --- */

static void close_checkpoint(void *checkpoint)
{
    onnxq_checkpoint_close(checkpoint);
}

static const onnxq_plan *make_plan(const struct row *row, struct test_module *module)
{
    test_write_module(module, "a.safetensors");
    onnxq_error error;
    onnxq_options options = test_options();
    onnxq_checkpoint *checkpoint = onnxq_checkpoint_open(test_path("a.safetensors"), &error);
    if (checkpoint == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(close_checkpoint, checkpoint);
    options.weights_from = checkpoint;
    const char *weight =
        row->is_turned ? test_printf("init m.weight float32[%zu,%zu]; y = Gemm(x, m.weight) "
                                     "transB=1",
                                     module->columns, module->rows)
                       : test_printf("init m.weight float32[%zu,%zu]; y = MatMul(x, m.weight)",
                                     module->rows, module->columns);
    return test_plan(
        test_model(test_printf("opset 21; in x float32[N,%zu]; %s", module->rows, weight)),
        &options);
}

static const struct oq_blocks *find_blocks(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        if (plan->constants[i].quantized != NULL)
            return plan->constants[i].quantized->blocks;
    fail_msg("nothing is taken: %s", onnxq_plan_get_import(plan, 0)->reason);
    return NULL;
}

static void test_recipes(void **state)
{
    const struct row *row = *state;
    struct test_module module = row->module;
    const struct oq_blocks *blocks = find_blocks(make_plan(row, &module));
    const struct oq_block_scales scales = {blocks, 0.5f};
    const struct oq_recipe integers = oq_import_integers(blocks);
    const struct oq_recipe zero_points = oq_import_zero_points(blocks);
    const struct oq_recipe scale_numbers = oq_import_scales(&scales);
    assert_int_equal(blocks->choice.size, row->block_size);
    assert_int_equal(blocks->has_zero_points, !module.is_symmetric);
    check_recipe(&integers, expect_integers(row, &module));
    check_recipe(&zero_points, expect_zero_points(row, &module));
    check_recipe(&scale_numbers, (const uint8_t *)expect_scales(row, &module));
}

int main(void)
{
    TEST_ROWS(test_recipes, rows);
    return suite_run();
}
