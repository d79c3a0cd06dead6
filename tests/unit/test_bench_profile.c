/* Profiles of the engine: what counts, and which operators are to blame. */
#include "bench/advice.h"
#include "bench/profile.h"

#include <math.h>
#include <string.h>

#include "support/suite.h"

#define KERNEL(name, op, ts, dur)                                                                  \
    "{\"cat\" : \"Node\",\"pid\" :1,\"tid\" :1,\"dur\" :" #dur ",\"ts\" :" #ts                     \
    ",\"ph\" : \"X\",\"name\" :\"" name "_kernel_time\",\"args\" : {\"op_name\" : \"" op "\"}},\n"
#define RUN(ts, dur)                                                                               \
    "{\"cat\" : \"Session\",\"pid\" :1,\"tid\" :1,\"dur\" :" #dur ",\"ts\" :" #ts                  \
    ",\"ph\" : \"X\",\"name\" :\"model_run\",\"args\" : {}},\n"

/* The operators as "Conv*2=1.500(slowest) ", or the error. */
static const char *read_profile(const char *text, struct oq_profile *profile)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    const char *path = test_path("profile.json"), *list = "";
    test_write_file(path, text, strlen(text));
    if (!oq_profile_read(profile, path, test_arena(1 << 20), &error))
        return test_error_text(&error);
    for (size_t i = 0; i < profile->n_ops; i++) {
        const struct oq_profile_op *op = &profile->ops[i];
        list =
            test_printf("%s%s*%zu=%.3f(%s) ", list, op->op_type, op->n_nodes, op->ms, op->slowest);
    }
    return list;
}

static const struct profile_row {
    const char *name, *text, *expected;
} profiles[] = {
    {"the second run counts",
     "[\n" KERNEL("a", "Conv", 10, 900) RUN(5, 1000) KERNEL("a", "Conv", 2010, 500)
         KERNEL("b", "Conv", 2600, 700) KERNEL("c", "Relu", 3300, 100) RUN(2005, 2000) "]\n",
     "Conv*2=1.200(b) Relu*1=0.100(c) "},
    {"the median of those that count",
     "[\n" RUN(0, 10) RUN(100, 90) KERNEL("a", "Conv", 110, 10) RUN(200, 90) RUN(300, 90)
         KERNEL("a", "Conv", 310, 12) RUN(400, 90) RUN(500, 90) KERNEL("a", "Conv", 510, 79) "]\n",
     "Conv*1=0.012(a) "},
    {"in a part of the runs",
     "[\n" RUN(0, 10) RUN(100, 90) KERNEL("a", "Conv", 110, 10) KERNEL("b", "If", 130, 20)
         KERNEL("b", "If", 160, 20) RUN(200, 90) RUN(300, 90) KERNEL("a", "Conv", 310, 30) "]\n",
     "Conv*1=0.020(a) If*1=0.020(b) "},
    {"the middle of two",
     "[\n" RUN(0, 10) RUN(100, 90) KERNEL("a", "Conv", 110, 10) RUN(200, 90) RUN(300, 90)
         KERNEL("a", "Conv", 310, 30) "]\n",
     "Conv*1=0.020(a) "},
    {"a body's time is its own",
     "[\n" RUN(0, 10) KERNEL("inner", "Conv", 120, 50) KERNEL("inner2", "Relu", 170, 20)
         KERNEL("outer", "If", 110, 90) RUN(100, 200) "]\n",
     "Conv*1=0.050(inner) If*1=0.020(outer) Relu*1=0.020(inner2) "},
    {"only kernels",
     "[\n" RUN(0, 10)
         KERNEL("a", "Conv", 120, 50) "{\"cat\":\"Node\",\"dur\":5,\"ts\":130,\"name\":\"a_fence_"
                                      "before\",\"args\":{\"op_name\":"
                                      "\"Conv\"}},\n"
                                      "{\"cat\":\"Node\",\"dur\":5,\"ts\":130,\"name\":\"x_kernel_"
                                      "time\",\"args\":{}},\n" RUN(100, 200) "]\n",
     "Conv*1=0.050(a) "},
    {"names that are not escaped, and what is no event",
     "[\n" RUN(0, 10) KERNEL("a", "Conv", 120, 50)
         KERNEL("b\"b", "Conv", 180, 50) "{\"cat\":17},\n{\"ts\":\"x\"},\n[1,2]\n}{\n\n{\"cat\":"
                                         "\"Node\",\"dur\":-5,\"ts\":1},\n" RUN(100, 200) "]\n",
     "Conv*1=0.050(a) "},
    {"cut short", "[\n" RUN(0, 10) RUN(100, 200) KERNEL("a", "Conv", 120, 50) "{\"cat\" : \"No",
     "Conv*1=0.050(a) "},
    {"one run only", "[\n" KERNEL("a", "Conv", 10, 50) RUN(0, 100) "]\n",
     "profile.json: the profile has no times of operators"},
    {"no nodes", "[\n" RUN(0, 10) RUN(100, 200) "]\n",
     "profile.json: the profile has no times of operators"},
    {"empty", "", "profile.json: the profile has no times of operators"},
    {"no JSON", "{{{{\n\x01\x02\n", "profile.json: the profile has no times of operators"},
};

static void test_profile(void **state)
{
    const struct profile_row *row = *state;
    struct oq_profile profile;
    check_text(read_profile(row->text, &profile), row->expected);
}

static void test_missing(void **state)
{
    (void)state;
    struct oq_profile profile;
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    assert_false(oq_profile_read(&profile, test_path("none"), test_arena(1 << 20), &error));
    check_text(test_error_text(&error),
               "none: the profile cannot be read: No such file or directory");
}

static void test_budget(void **state)
{
    (void)state;
    struct oq_profile profile;
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    const char *text = RUN(0, 10) KERNEL("a", "Conv", 10, 50);
    test_write_file(test_path("p"), text, strlen(text));
    assert_false(oq_profile_read(&profile, test_path("p"), test_arena(64), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_MEMORY);
}

/* --- who is to blame ------------------------------------------------------------ */

static const struct blame_row {
    const char *name;
    struct oq_profile_op slow[4], first[4]; /* the most expensive first */
    const char *expected;
} blames[] = {
    {"another operator for the same work",
     {{"ConvInteger", 3, 40, "c", 20}, {"Mul", 3, 2, "m", 1}},
     {{"FusedConv", 3, 4, "f", 2}, {"Mul", 1, 1, "m", 1}},
     "ConvInteger*3 40 FusedConv 4: slower on CPU than Conv, with the Cast, Mul and Add around it: "
     "onnxq quantize --conv fold\n"},
    {"what gained is not blamed",
     {{"MatMulInteger", 2, 9, "a", 5}, {"DequantizeLinear", 2, 3, "b", 2}},
     {{"MatMul", 2, 10, "a", 6}},
     "DequantizeLinear*2 3  0: computed in every run, not folded when the model is loaded: onnxq "
     "quantize "
     "--method weights\n"},
    {"a family together",
     {{"Conv", 1, 5, "a", 5}, {"QLinearConv", 2, 4, "b", 2}, {"Tanh", 1, 3, "t", 3}},
     {{"Conv", 3, 8, "a", 5}},
     "Tanh*1 3  0: \nConv*3 9 Conv 8: \n"},
    {"nothing takes longer", {{"Conv", 1, 5, "a", 5}}, {{"Conv", 1, 6, "a", 5}}, ""},
    {"what is small is left out",
     {{"Conv", 1, 50, "a", 5}, {"Relu", 1, 2, "r", 2}},
     {{"Conv", 1, 5, "a", 5}, {"Relu", 1, 1, "r", 1}},
     "Conv*1 50 Conv 5: \n"},
};

static struct oq_profile make_profile(const struct oq_profile_op ops[4])
{
    struct oq_profile_op *copy = test_alloc(4 * sizeof(*copy));
    size_t n = 0;
    memcpy(copy, ops, 4 * sizeof(*copy));
    while (n < 4 && ops[n].op_type != NULL)
        n++;
    return (struct oq_profile){.ops = copy, .n_ops = n};
}

static const char *list_blames(const struct oq_profile *slow, const struct oq_profile *first)
{
    struct oq_blame found[OQ_BLAMES_MAX];
    const char *list = "";
    size_t n = oq_find_blames(slow, first, found);
    for (size_t i = 0; i < n; i++)
        list = test_printf("%s%s*%zu %g %s %g: %s\n", list, found[i].op_type, found[i].n_nodes,
                           found[i].ms, found[i].first_op_type, found[i].first_ms,
                           found[i].advice.text);
    return list;
}

static void test_blame(void **state)
{
    const struct blame_row *row = *state;
    struct oq_profile slow = make_profile(row->slow), first = make_profile(row->first);
    check_text(list_blames(&slow, &first), row->expected);
}

static void test_most_blames(void **state)
{
    (void)state;
    struct oq_profile_op ops[10];
    struct oq_blame found[OQ_BLAMES_MAX];
    for (size_t i = 0; i < 10; i++)
        ops[i] = (struct oq_profile_op){test_printf("Op%zu", i), 1, 10.0 - (double)i / 10, "n", 1};
    struct oq_profile slow = {.ops = ops, .n_ops = 10}, first = {0};
    assert_int_equal(oq_find_blames(&slow, &first, found), OQ_BLAMES_MAX);
    for (size_t i = 0; i < OQ_BLAMES_MAX; i++)
        check_text(found[i].op_type, test_printf("Op%zu", i));
}

int main(void)
{
    TEST_ROWS(test_profile, profiles);
    TEST(test_missing);
    TEST(test_budget);
    TEST_ROWS(test_blame, blames);
    TEST(test_most_blames);
    return suite_run();
}
