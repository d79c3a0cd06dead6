/* Whether integers are worth their place beside what else is stored of a weight. */
#include <stdio.h>
#include <string.h>

#include "quantize/plan/plan.h"
#include "support/adjust.h"
#include "support/models.h"

#define HEAD   "opset 17; in x float32[N,256]; in t float32[256,N]; in h float16[N,256]\n"
#define W      "init w float32[256,256]\n"
#define HALF   "init w float16[256,256]\n"
#define BESIDE "not smaller beside the other forms in which it is stored"

/* Every use of w, and after a bar the bytes of what replaces it. */
static const struct row {
    const char *name, *text;
    adjust_fn adjust;
    const char *expected;
} rows[] = {
    {"one product", HEAD W "y = MatMul(x, w)", NULL, "MatMul dynamic | 66560"},
    {"two products of one form", HEAD W "y = MatMul(x, w); z = MatMul(x, w)", NULL,
     "MatMul dynamic, MatMul dynamic | 66560"},
    {"two forms", HEAD W "y = Gemm(x, w); z = Gemm(x, w) transB=1", NULL,
     "Gemm dynamic, Gemm dynamic | 133120"},
    {"two forms of half precision", HEAD HALF "y = Gemm(h, w); z = Gemm(h, w) transB=1", NULL,
     "Gemm dynamic, Gemm fold (" BESIDE ") | 67584"},
    {"a product and a fold", HEAD W "y = MatMul(x, w); z = Add(t, w)", NULL,
     "MatMul dynamic, Add fold | 67584"},
    {"a turned product and a fold", HEAD W "y = Gemm(x, w) transB=1; z = Add(t, w)", NULL,
     "Gemm dynamic, Add fold | 67584"},
    {"two forms and a fold in 16 bits",
     HEAD W "y = Gemm(x, w); z = Gemm(x, w) transB=1; s = Add(t, w)", adjust_fold_16_bits,
     "Gemm dynamic, Gemm fold (options.fold_bits=16), Add fold (options.fold_bits=16) | 198656"},
    {"a product of a tensor, and one of it and another",
     HEAD "in u float32[N,128]; init a float32[128,256]; init w float32[128,256]\n"
          "k = Concat(a, w) axis=0; y = MatMul(x, k); z = MatMul(u, w)",
     adjust_force_integer, "Concat dynamic, MatMul dynamic | 33792"},
    {"what another tensor pays for a form leaves the first to others",
     "opset 17; in x float16[N,128]; in u float16[N,64]; init a float16[64,64]\n"
     "init w float16[64,64]; k = Concat(a, w) axis=0; y = MatMul(x, k); z = MatMul(u, w)",
     adjust_force_integer, "Concat dynamic, MatMul dynamic | 4352"},
    {"somebody needs the floats", HEAD W "y = MatMul(x, w); z = custom::Op(w)", NULL,
     "MatMul keep (Op \"z\" takes it as it is), Op keep (no rule for custom.Op) | 262144"},
    {"the graph returns it", HEAD W "y = MatMul(x, w); out w float32[256,256]", NULL,
     "MatMul keep (the graph returns it), graph output keep (returned by the graph) | 262144"},
    {"somebody needs the floats, at the start of a chain",
     HEAD W "z = custom::Op(w); k = Transpose(w); y = MatMul(x, k)", NULL,
     "Op keep (no rule for custom.Op), Transpose keep (Op \"z\" takes it as it is) | 262144"},
    {"alpha gives every product scales of its own",
     "opset 17; in x float32[N,2]; init w float32[2,256]\n"
     "y = Gemm(x, w) alpha=2.0; z = Gemm(x, w) alpha=3.0",
     adjust_force_integer, "Gemm fold (" BESIDE "), Gemm fold (" BESIDE ") | 1536"},
    {"blocks", HEAD W "y = MatMul(x, w); z = MatMul(x, w)", adjust_blocks,
     "MatMul dynamic, MatMul dynamic | 67584"},
    {"blocks, and what takes none", HEAD W "y = MatMul(x, w); z = Add(t, w)", adjust_blocks,
     "MatMul fold (stored once, folded for Add \"z\"), "
     "Add fold (no operator takes it in blocks) | 66560"},
    {"blocks, and somebody who needs the floats", HEAD W "y = MatMul(x, w); z = custom::Op(w)",
     adjust_blocks,
     "MatMul keep (Op \"z\" takes it as it is), Op keep (no rule for custom.Op) | 262144"},
};

static const char *describe_use(const char *text, const onnxq_use *use)
{
    static const char *const actions[] = {"keep", "dynamic", "fold", "drop"};
    const char *reason = use->reason[0] == '\0' ? "" : test_printf(" (%s)", use->reason);
    return test_printf("%s%s%s %s%s", text, text[0] == '\0' ? "" : ", ", use->op_type,
                       actions[use->action], reason);
}

static const char *describe(const onnxq_plan *plan)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        const char *text = "";
        if (strcmp(weight->name, "w") != 0)
            continue;
        for (size_t k = 0; k < weight->n_uses; k++)
            text = describe_use(text, &weight->uses[k]);
        return test_printf("%s | %llu", text, (unsigned long long)weight->nbytes_after);
    }
    fail_msg("there is no w");
    return NULL;
}

/* And nothing is larger than it was, nor larger than estimated. */
static void test_worth(void **state)
{
    const struct row *row = *state;
    onnxq_options options = test_options();
    options.min_elements = 1;
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_model *model = test_model(row->text);
    const onnxq_plan *plan = test_plan(model, &options);
    check_text(describe(plan), row->expected);
    check_text(describe(test_estimate(model, &options)), row->expected);
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    assert_compare(summary->weight_nbytes_after, <=, summary->weight_nbytes_before);
}

int main(void)
{
    TEST_ROWS(test_worth, rows);
    return suite_run();
}
