/* Random inputs: sizes of open dimensions, ranges of integers, the same bits everywhere. */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "support/models.h"
#include "inputs/expression.h"
#include "inputs/feed.h"
#include "inputs/random.h"

static void free_sets(void *thing)
{
    oq_input_sets_fini(thing);
}

/* Draws sets for models that take the same inputs; false with the error. */
static bool draw(const onnxq_model *const *models, size_t n_models,
                 const struct oq_draw_options *options, uint64_t n, struct oq_input_sets *sets,
                 onnxq_error *error)
{
    struct oq_feed_options feed = {.n_random = n, .draw = *options};
    struct oq_signature signature;
    oq_error_init(error);
    *sets = (struct oq_input_sets){0};
    test_defer(free_sets, sets);
    assert_true(oq_signature_init(&signature, models[0], test_arena((size_t)64 << 20), error));
    return oq_feed_make(sets, models, n_models, &signature, &feed, error);
}

static struct oq_input_sets *draw_one(const char *text, const struct oq_draw_options *options,
                                      onnxq_error *error)
{
    const onnxq_model *model = test_model(text);
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    return draw(&model, 1, options, 1, sets, error) ? sets : NULL;
}

/* "x int64 [1,16] 0..99", with the smallest and the largest element; floats as they are drawn
 * without bounds: "normal". */
static const char *describe(const struct oq_array *array)
{
    char text[256];
    double lo = 0, hi = 0;
    bool whole = true;
    oq_array_describe(array, text, sizeof(text));
    if (!oq_array_is_numeric(array))
        return test_printf("%s %s", array->name, text);
    for (uint64_t i = 0; i < array->nelem; i++) {
        double value;
        oq_array_read_doubles(array, i, 1, &value);
        lo = i == 0 || value < lo ? value : lo;
        hi = i == 0 || value > hi ? value : hi;
        whole = whole && value == (double)(int64_t)value;
    }
    if (array->nelem == 0)
        return test_printf("%s %s", array->name, text);
    if (!whole)
        return test_printf("%s %s %s", array->name, text,
                           lo > 0 && array->nelem >= 50 ? "positive" : "normal");
    return lo == hi ? test_printf("%s %s %g", array->name, text, lo)
                    : test_printf("%s %s %g..%g", array->name, text, lo, hi);
}

static const char *describe_set(const struct oq_input_set *set)
{
    const char *text = "";
    for (size_t i = 0; i < set->inputs.count; i++)
        text = test_printf("%s%s%s", text, i > 0 ? "; " : "", describe(&set->inputs.list[i]));
    return text;
}

/* --- ranges of integers ----------------------------------------------------- */

/* 3000 elements take both ends of a small range in every seed that was tried. */
static const struct row {
    const char *name, *text, *expected;
} range_rows[] = {
    {"rows of a table", "in x int64[3000]; init w float32[5,4]; y = Gather(w, x)",
     "x int64 [3000] 0..4"},
    {"columns of a table", "in x int32[3000]; init w float32[5,4]; y = Gather(w, x) axis=-1",
     "x int32 [3000] 0..3"},
    {"a Constant's rows", "in x int64[3000]; w = Constant() value=float32[5,4]; y = Gather(w, x)",
     "x int64 [3000] 0..4"},
    {"a turned table", "in x int64[3000]; init w float32[4,5]; t = Transpose(w); y = Gather(t, x)",
     "x int64 [3000] 0..4"},
    {"a table that is computed", "in x int64[3000]; in n float32[4]; y = Gather(n, x)",
     "x int64 [3000] 0..3; n float32 [4] normal"},
    {"a table of unknown size", "in x int64[3000]; in t float32; y = Gather(t, x)",
     "x int64 [3000] 0; t float32 [1] normal"},
    {"a table of a chosen size", "in x int64[3000]; in t float32[batch,4]; y = Gather(t, x) axis=1",
     "x int64 [3000] 0..3; t float32 [1,4] normal"},
    {"a table whose size has no name",
     "in x int64[3000]; in t float32[?,?]; y = Gather(t, x) axis=1",
     "x int64 [3000] 0..7; t float32 [1,8] normal"},
    {"a prompt whose length has no name",
     "in ids int32[?,?]; in most int32[1]; y = com.microsoft::GreedySearch(ids, most) vocab_size=9",
     "ids int32 [1,16] 0..8; most int32 [1] 32"},
    {"a table with a symbolic size", "in x int64[3000]; in t int64[1,seq]; y = Gather(t, x) axis=1",
     "x int64 [3000] 0..15; t int64 [1,16] 0..1"},
    {"int8 rows",
     "in x int64[3000]; init w int8[5,4]; init s float32; r = Gather(w, x); "
     "c = Cast(r) to=1; y = Mul(c, s)",
     "x int64 [3000] 0..4"},
    {"a folded table",
     "in x int64[3000]; init w int8[5,4]; init s float32[5,1]; c = Cast(w) to=1; "
     "t = Mul(c, s); y = Gather(t, x)",
     "x int64 [3000] 0..4"},
    {"DequantizeLinear",
     "in x int64[3000]; init w int8[5,4]; init s float32; "
     "t = DequantizeLinear(w, s); y = Gather(t, x)",
     "x int64 [3000] 0..4"},
    {"GatherBlockQuantized",
     "in x int64[3000]; init w uint8[5,16]; init s float32[5,2]; "
     "y = com.microsoft::GatherBlockQuantized(w, x, s) block_size=16 gather_axis=0",
     "x int64 [3000] 0..4"},
    {"the smallest of two tables",
     "in x int64[3000]; init w float32[5,4]; init v float32[3,4]; y = Gather(w, x); "
     "z = Gather(v, x)",
     "x int64 [3000] 0..2"},
    {"GatherElements", "in x int64[2,1500]; init w float32[2,7]; y = GatherElements(w, x) axis=1",
     "x int64 [2,1500] 0..6"},
    {"GatherND", "in x int64[1500,2]; init w float32[5,3]; y = GatherND(w, x)",
     "x int64 [1500,2] 0..2"},
    {"ScatterElements",
     "in x int64[3000,1]; in u float32[3000,1]; init w float32[6,1]; y = ScatterElements(w, x, u)",
     "x int64 [3000,1] 0..5; u float32 [3000,1] normal"},
    {"ScatterND",
     "in x int64[3000,1]; in u float32[3000]; init w float32[6]; "
     "y = ScatterND(w, x, u)",
     "x int64 [3000,1] 0..5; u float32 [3000] normal"},
    {"ArrayFeatureExtractor",
     "in x int64[3000]; init w float32[2,5]; y = ai.onnx.ml::ArrayFeatureExtractor(w, x)",
     "x int64 [3000] 0..4"},
    {"OneHot", "in x int64[3000]; init d int64 packed = 9; init v float32[2]; y = OneHot(x, d, v)",
     "x int64 [3000] 0..8"},
    {"EmbedLayerNormalization",
     "in i int32[1,3000]; in s int32[1,3000]; in m int32[1,3000]; init w float32[5,4]; "
     "init p float32[3000,4]; init t float32[3,4]; init g float32[4]; "
     "y, k = com.microsoft::EmbedLayerNormalization(i, s, w, p, t, g, g, m)",
     "i int32 [1,3000] 0..4; s int32 [1,3000] 0..2; m int32 [1,3000] 1"},
    {"positions of a rotation",
     "in q float32[1,4]; in x int64[3000]; init c float32[9,2]; "
     "y = com.microsoft::RotaryEmbedding(q, x, c, c)",
     "q float32 [1,4] normal; x int64 [3000] 0..8"},

    {"on its way",
     "in x int64[30,100]; init w float32[5,4]; init s int64[1] packed = -1; "
     "a = Cast(x) to=6; b = Reshape(a, s); c = Identity(b); y = Gather(w, c)",
     "x int64 [30,100] 0..4"},
    {"float tokens", "in x float32[3000]; init w float32[5,4]; a = Cast(x) to=6; y = Gather(w, a)",
     "x float32 [3000] 0..4"},
    {"an offset",
     "in x int64[3000]; init o int64 packed = 2; init w float32[7,4]; a = Add(x, o); "
     "y = Gather(w, a)",
     "x int64 [3000] 0..4"},
    {"an offset down",
     "in x int64[3000]; init o int64 packed = 2; init w float32[7,4]; "
     "a = Sub(x, o); y = Gather(w, a)",
     "x int64 [3000] 2..8"},
    {"a factor",
     "in x int64[3000]; init o int64 packed = 3; init w float32[10,4]; a = Mul(o, x); "
     "y = Gather(w, a)",
     "x int64 [3000] 0..3"},
    {"Concat, Slice, Split",
     "in x int64[3000]; init c int64[2] packed = 1 2; init s int64[1] packed = 0; "
     "init e int64[1] packed = 3000; init w float32[5,4]; a = Concat(x, c) axis=0; "
     "b = Slice(a, s, e); d, f = Split(b) axis=0; y = Gather(w, f)",
     "x int64 [3000] 0..4"},
    {"into the body of an If",
     "in x int64[3000]; in c bool[1]; y = If(c) then_branch={ init w float32[5,4]; "
     "t = Gather(w, x); out t float32 } else_branch={ init v float32[6,4]; e = Gather(v, x); "
     "out e float32 }",
     "x int64 [3000] 0..4; c bool [1] 1"},
    {"carried by a Loop",
     "in x int64[3000]; in n int64[]; init c bool packed = 1; y = Loop(n, c, x) "
     "body={ in i int64[]; in d bool[]; in v int64[3000]; init w float32[5,4]; u = Gather(w, v); "
     "k = Identity(d); z = Identity(v); out k bool[]; out z int64[3000] }",
     "x int64 [3000] 0..4; n int64 [] 3"},

    {"sequence lengths",
     "in x float32[9,3000,4]; in l int32[3000]; init w float32[1,8,4]; init r float32[1,8,2]; "
     "y, h, c = LSTM(x, w, r, , l)",
     "x float32 [9,3000,4] normal; l int32 [3000] 1..9"},
    {"a shape", "in x float32[2,3]; in s int64[3]; y = Reshape(x, s)",
     "x float32 [2,3] normal; s int64 [3] -1..1"},
    {"a part of a shape",
     "in x float32[2,3]; in s int64[1]; init o int64[1] packed = -1; "
     "a = Concat(o, s) axis=0; y = Reshape(x, a)",
     "x float32 [2,3] normal; s int64 [1] 1"},
    {"axes", "in x float32[2,3]; in a int64[2]; y = Unsqueeze(x, a)",
     "x float32 [2,3] normal; a int64 [2] 0..1"},
    {"scales", "in x float32[1,1,2,3]; in s float32[4]; y = Resize(x, , s)",
     "x float32 [1,1,2,3] normal; s float32 [4] 1"},
    {"a divisor", "in x int64[50]; in d int64[3000]; y = Div(x, d)",
     "x int64 [50] 0..1; d int64 [3000] 1..16"},
    {"a divisor of floats", "in x float32[50]; in d float32[50]; y = Div(x, d)",
     "x float32 [50] normal; d float32 [50] positive"},
    {"logarithms and roots of inputs, rearranged, scaled or with something added",
     "in a float32[50]; in b float16[50]; in c float64[50]; in d float32[2,25]; init s float32 = "
     "0.5\n"
     "y = Log(a); z = Sqrt(b); e = Mul(c, s); f = Add(e, s); v = Reciprocal(f)\n"
     "g = Transpose(d); h = Clip(g, s); w = Log(h)",
     "a float32 [50] positive; b float16 [50] positive; c float64 [50] positive; "
     "d float32 [2,25] positive"},
    {"of what is computed",
     "in a float32[50]; in b float32[50]; in c float32[50]; init s float32 = -0.5\n"
     "d = Mul(a, b); y = Log(d); e = Mul(c, s); z = Sqrt(e); f = Sub(a, s); v = Div(b, f)",
     "a float32 [50] normal; b float32 [50] normal; c float32 [50] normal"},
    {"powers",
     "in a float32[50]; in b float32[50]; in c float32[50]; in d float32[50]; in e float32[50]\n"
     "init s float32 = 2; init h float32[1] = 0.5; init n float32 = -1\n"
     "v = Pow(a, s); w = Pow(b, h); y = Pow(c, n); z = Pow(d, e)",
     "a float32 [50] normal; b float32 [50] positive; c float32 [50] positive; "
     "d float32 [50] positive; e float32 [50] normal"},
    {"k", "in x float32[2,3]; in k int64[1]; y, i = TopK(x, k)",
     "x float32 [2,3] normal; k int64 [1] 1"},
    {"a search with beams",
     "in ids int32[b,3000]; in most int32[1]; in least int32[1]; in beams int32[1]; in n int32[1]; "
     "in l float32[1]; in r float32[1]; in words int32[v]; in first int32[b,v]; in real "
     "int32[b,3000]; "
     "in z int32[1]; "
     "y = com.microsoft::BeamSearch(ids, most, least, beams, n, l, r, words, first, real, , z) "
     "vocab_size=50 decoder={ in i int32[b,s]; o = Identity(i); out o float32 }",
     "ids int32 [1,3000] 0..49; most int32 [1] 3016; least int32 [1] 1; beams int32 [1] 4; "
     "n int32 [1] 1; l float32 [1] 1; r float32 [1] 1; words int32 [50] 1; first int32 [1,50] 1; "
     "real int32 [1,3000] 1; z int32 [1] 0"},
    {"a greedy search, its words those of the decoder",
     "in ids int32[b,s]; in most int32[1]; in r float32[1]; in words int32[?]; "
     "y = com.microsoft::GreedySearch(ids, most, , r, words) "
     "decoder={ in i int32[p,q]; in z int32[p,q]; init w float32[9,4]; init v float32[4,9]; "
     "h = Gather(w, i); o = MatMul(h, v); out o float32[p,q,9] }",
     "ids int32 [1,16] 0..8; most int32 [1] 32; r float32 [1] 1; words int32 [9] 1"},
    {"a search from an encoder's text",
     "in ids int32[1,3000]; in most int64[1]; c = Cast(most) to=6; "
     "y = com.microsoft::BeamSearch(ids, c) model_type=1 "
     "encoder={ in i int32[p,q]; init w float32[7,4]; h = Gather(w, i); out h float32 } "
     "decoder={ in i int32[p,q]; o = Cast(i) to=1; out o float32 }",
     "ids int32 [1,3000] 0..6; most int64 [1] 3016"},
    {"sampling",
     "in ids int32[1,3000]; in most int32[1]; in seed int32[1]; in said int32[1,v]; "
     "y = com.microsoft::Sampling(ids, most, , , , , , said, seed) vocab_size=9 temperature=0.7 "
     "decoder={ in i int32[p,q]; o = Cast(i) to=1; out o float32 }",
     "ids int32 [1,3000] 0..8; most int32 [1] 3016; seed int32 [1] 0; said int32 [1,9] 1"},
    {"speech, searched for its text",
     "in sound float32[1,80,3000]; in most int32[1]; in start int32[1,3000]; "
     "y = com.microsoft::WhisperBeamSearch(sound, most, , , , , , , , , start) vocab_size=9 "
     "decoder={ in i int32[p,q]; o = Cast(i) to=1; out o float32 }",
     "sound float32 [1,80,3000] normal; most int32 [1] 3016; start int32 [1,3000] 0..8"},
    {"a prompt of unknown length",
     "in ids int32; in most int32[1]; y = com.microsoft::GreedySearch(ids, most) vocab_size=9",
     "ids int32 [1] 8; most int32 [1] 144"},

    {"a mask by name", "in attention_mask int64[1,50]; y = Identity(attention_mask)",
     "attention_mask int64 [1,50] 1"},
    {"a float mask", "in mask float32[1,50]; y = Identity(mask)", "mask float32 [1,50] 1"},
    {"a bool mask", "in mask bool[1,50]; y = Identity(mask)", "mask bool [1,50] 1"},
    {"no mask by name",
     "in masked_positions int64[3000]; init w float32[5,4]; "
     "y = Gather(w, masked_positions)",
     "masked_positions int64 [3000] 0..4"},
    {"a mask by use", "in m int64[50]; in x float32[50]; a = Cast(m) to=1; y = Mul(x, a)",
     "m int64 [50] 1; x float32 [50] normal"},
    {"compared", "in m int64[50]; init z int64 packed = 0; y = Greater(m, z)", "m int64 [50] 1"},
    {"a constant that it is compared with",
     "in r int64[]; init z int64 packed = 8000; y = Equal(r, z)", "r int64 [] 8000"},
    {"a sample rate", "in sr int64[]; y = Identity(sr)", "sr int64 [] 16000"},
    {"positions by name", "in position_ids int64[100,30]; y = Identity(position_ids)",
     "position_ids int64 [100,30] 0..29"},
    {"lengths by name, of sound",
     "in wav float32[batch,N]; in wav_lens int64[batch]; y = Identity(wav_lens)",
     "wav float32 [1,512] normal; wav_lens int64 [1] 512"},
    {"lengths by name, of frames", "in n_len int32[B]; in x float32[B,80,T]; y = Identity(n_len)",
     "n_len int32 [1] 8; x float32 [1,80,8] normal"},
    {"no length by name: a bound, and nothing lies beside",
     "in max_length int64[1]; in x float32[1,seq]; in y_lens int64[1,3]; y = Identity(x)",
     "max_length int64 [1] 1; x float32 [1,16] normal; y_lens int64 [1,3] 0..1"},
    {"integers", "in x int64[50]; y = Identity(x)", "x int64 [50] 0..1"},
    {"bytes", "in x uint8[9000]; in z int8[9000]; y = Identity(x)",
     "x uint8 [9000] 0..255; z int8 [9000] -128..127"},
    {"truth", "in x bool[50]; y = Identity(x)", "x bool [50] 0..1"},
    {"strings", "in x string[2,3]; y = Identity(x)", "x string [2,3]"},
    {"floats of all widths", "in a float16[50]; in b bfloat16[50]; in c float64[50]; out a float16",
     "a float16 [50] normal; b bfloat16 [50] normal; c float64 [50] normal"},
    {"a scalar", "in x float32[]; y = Relu(x)", "x float32 [] normal"},
    {"an initializer is no input",
     "in x float32[2]; in w float32[9]; init w float32[9]; "
     "y = Add(x, w)",
     "x float32 [2] normal"},
};

static void test_ranges(void **state)
{
    const struct row *row = *state;
    struct oq_draw_options options = {.seed = 1};
    onnxq_error error;
    const char *text = test_printf("ir 8; opset 17; %s", row->text);
    struct oq_input_sets *sets = draw_one(text, &options, &error);
    check_text(sets != NULL ? describe_set(&sets->list[0]) : test_error_text(&error),
               row->expected);
}

/* --- open dimensions -------------------------------------------------------- */

static const struct row size_rows[] = {
    {"a sentence", "in ids int64[batch,seq]; in mask int64[batch,seq]; y = Identity(ids)",
     "ids [1,16] mask [1,16]"},
    {"a letter that lies along is no batch",
     "in wav float32[B,N]; in x float32[T,N,5]; in z float32[N]; y = Identity(wav)",
     "wav [1,512] x [1,512,5] z [512]"},
    {"a state that is handed in", "in x float32[?,64]; in state float32[2,?,128]; y = Identity(x)",
     "x [1,64] state [2,1,128]"},
    {"without names", "in ids int64[?,?]; in x float32[?,?,?]; y = Identity(ids)",
     "ids [1,16] x [1,16,8]"},
    {"a recurrence, whatever its first axis is called",
     "in x float32[?,1,4]; in z float32[batch,time,4]; init w float32[1,20,4]; init r "
     "float32[1,20,5]\n"
     "y = LSTM(x, w, r); t = Transpose(z) perm=[1,0,2]; u = LSTM(t, w, r)",
     "x [16,1,4] z [1,16,4]"},
    {"a recurrence with batches first",
     "in x float32[?,?,4]; init w float32[1,20,4]; init r float32[1,20,5]\n"
     "y = LSTM(x, w, r) layout=1",
     "x [1,16,4]"},
    {"what is scanned, and the state",
     "in s float32[?]; in x float32[?,4]; in z float32[4,n]\n"
     "y, u = Scan(s, x, z) num_scan_inputs=2 scan_input_axes=[0,-1] body={ in a float32; "
     "in b float32[4]; in c float32[4]; d = Add(b, c); out a float32; out d float32[4] }",
     "s [1] x [16,4] z [4,16]"},
    {"more or fewer scanned than there are",
     "in x float32[?,4]; y = Scan(x) num_scan_inputs=-9223372036854775808; "
     "z = Scan(x) num_scan_inputs=3",
     "x [1,4]"},
    {"as long as a Loop goes",
     "in x float32[?,4]; init c bool packed = 1; init z int64 packed = 0; k = Shape(x); "
     "n = Gather(k, z); y = Loop(n, c, x) body={ in i int64; in d bool; in v float32; "
     "out d bool; out v float32 }",
     "x [16,4]"},
    {"a length that another input has",
     "in ids int64[batch,seq]; in mask int64[1,128]; y = Identity(ids)",
     "ids [1,128] mask [1,128]"},
    {"a decoder with a past",
     "in ids int64[batch_size,sequence_length]; "
     "in mask int64[batch_size,\"past_sequence_length + sequence_length\"]; "
     "in past float32[batch_size,4,past_sequence_length,8]; y = Identity(ids)",
     "ids [1,16] mask [1,16] past [1,4,0,8]"},
    {"past and one",
     "in ids int64[batch,1]; in mask int64[batch,\"past_sequence_length + 1\"]; y = Identity(ids)",
     "ids [1,1] mask [1,1]"},
    {"a total",
     "in ids int64[b,s_len]; in mask int64[b,total_len]; in past float32[b,past_len]; "
     "y = Identity(ids)",
     "ids [1,16] mask [1,16] past [1,0]"},
    {"formulas",
     "in a int64[N,\"2*seq\"]; in b int64[N,\"floor(seq/3) - 1\"]; "
     "in c int64[N,\"max(seq,40)//(N+1)\"]; y = Identity(a)",
     "a [1,32] b [1,4] c [1,20]"},
    {"no formulas", "in a int64[batch-size,\"seq / 0\"]; y = Identity(a)", "a [1,16]"},
    {"pictures", "in a float32[N,3,height,width]; in b uint8[N,H,W,3]; y = Identity(a)",
     "a [1,3,224,224] b [1,224,224,3]"},
    {"a picture of known height", "in a float32[?,3,96,?]; y = Identity(a)", "a [1,3,96,96]"},
    {"latents", "in a float32[N,4,height,width]; y = Identity(a)", "a [1,4,64,64]"},
    {"channels of a Conv",
     "in a float32[batch,channels,height,width]; init w float32[8,5,3,3]; y = Conv(a, w)",
     "a [1,5,64,64]"},
    {"channels of groups", "in a float32[?,?,9,9]; init w float32[8,5,3,3]; y = Conv(a, w) group=2",
     "a [1,10,9,9]"},
    {"sound",
     "in a float32[batch,sequence]; init w float32[8,1,16]; init o int64[1] packed = 1; "
     "b = Unsqueeze(a, o); y = Conv(b, w)",
     "a [1,512]"},
    {"sound by name", "in wav float32[?,?]; y = Identity(wav)", "wav [1,512]"},
    {"features of sound", "in a float32[batch,80,frames]; init w float32[8,80,3]; y = Conv(a, w)",
     "a [1,80,128]"},
    {"K of MatMul", "in a float32[N,K]; init w float32[20,30]; r = Relu(a); y = MatMul(r, w)",
     "a [1,20]"},
    {"K of Gemm", "in a float32[N,K]; init w float32[30,20]; y = Gemm(a, w) transB=1", "a [1,20]"},
    {"K of an integer product",
     "in a float32[N,K]; init w int8[20,30]; q, s, z = DynamicQuantizeLinear(a); "
     "y = MatMulInteger(q, w, z)",
     "a [1,20]"},
    {"K of blocks",
     "in a float32[N,K]; init w uint8[30,1,16]; init s float32[30]; "
     "y = com.microsoft::MatMulNBits(a, w, s) K=32 N=30 bits=4 block_size=32",
     "a [1,32]"},
    {"a bias", "in a float32[N,K]; init b float32[20]; y = Add(a, b)", "a [1,20]"},
    {"positions that are added", "in a float32[N,seq,6]; init p float32[1,10,6]; y = Add(a, p)",
     "a [1,10,6]"},
    {"positions behind a table",
     "in a int64[N,seq]; init w float32[9,6]; init p float32[1,10,6]; e = Gather(w, a); "
     "y = Add(e, p)",
     "a [1,10]"},
    {"states of a recurrence",
     "in x float32[seq,batch,?]; in h float32[?,batch,?]; init w float32[2,20,3]; "
     "init r float32[2,20,5]; y, u, v = LSTM(x, w, r, , , h)",
     "x [16,1,3] h [2,1,5]"},
    {"turned",
     "in a float32[K,?]; init w float32[20,30]; t = Transpose(a) perm=[1,0]; "
     "y = MatMul(t, w)",
     "a [20,8]"},
    {"a table of few positions",
     "in a int64[N,seq]; init i int64 packed = 1; init o int64 packed = 0; "
     "init e int64 packed = 1; init p float32[7,4]; s = Shape(a); n = Gather(s, i); "
     "r = Range(o, n, e); y = Gather(p, r)",
     "a [1,7]"},
    {"a constant that is cut",
     "in a int64[N,seq]; init b int64[1] packed = 1; init c int64[1] packed = 2; "
     "init o int64[1] packed = 0; init p int64[1,7]; s = Shape(a); n = Slice(s, b, c); "
     "y = Slice(p, o, n, b)",
     "a [1,7]"},
    {"Shape of one axis",
     "in a int64[N,seq]; init b int64[1] packed = 1; init o int64[1] packed = 0; "
     "init p int64[1,7]; n = Shape(a) start=1 end=2; y = Slice(p, o, n, b)",
     "a [1,7]"},
    {"positions that are counted",
     "in a int64[N,seq]; init pad int64 packed = 1; init ax int64 packed = 1; "
     "init w float32[9,4]; e = Equal(a, pad); n = Not(e); m = Cast(n) to=6; c = CumSum(m, ax); "
     "k = Mul(c, m); p = Add(k, pad); l = Cast(p) to=7; y = Gather(w, l)",
     "a [1,7]"},
    {"EmbedLayerNormalization",
     "in i int32[N,seq]; init w float32[5,4]; init p float32[6,4]; init g float32[4]; "
     "y, k = com.microsoft::EmbedLayerNormalization(i, , w, p, , g, g)",
     "i [1,6]"},
    {"a line of text: four halvings, three rows that are averaged, one row that is left",
     "in a float32[N,3,H,W]; init w float32[4,3,3,3]; init v float32[4,4,3,3]; init f "
     "float32[4,9]; "
     "b = Conv(a, w) pads=[1,1,1,1] strides=[2,2]; c = Relu(b); "
     "d = Conv(c, v) pads=[1,1,1,1] strides=[2,1]; e = Conv(d, v) pads=[1,1,1,1] strides=[2,1]; "
     "g = MaxPool(e) kernel_shape=[2,2] strides=[2,2]; "
     "h = AveragePool(g) kernel_shape=[3,2] strides=[3,2]; init x int64[1] packed = 2; "
     "i = Squeeze(h, x); j = Transpose(i) perm=[0,2,1]; y = MatMul(j, f)",
     "a [1,3,48,224]"},
    {"a last Conv without stride",
     "in a float32[N,1,H,W]; init w float32[4,1,3,3]; init v float32[4,4,2,2]; "
     "b = Conv(a, w) pads=[1,1,1,1]; c = MaxPool(b) kernel_shape=[2,2] strides=[2,2]; "
     "d = MaxPool(c) kernel_shape=[2,2] strides=[2,2]; e = MaxPool(d) kernel_shape=[2,2] "
     "pads=[0,1,0,1] strides=[2,1]; f = MaxPool(e) kernel_shape=[2,2] pads=[0,1,0,1] "
     "strides=[2,1]; "
     "g = Conv(f, v); init x int64[1] packed = 2; y = Squeeze(g, x)",
     "a [1,1,32,224]"},
    {"as large as a kernel",
     "in a float32[N,1,H,W]; init w float32[4,1,40,3]; init x int64[1] packed = -2; "
     "b = Conv(a, w) auto_pad=\"VALID\"; y = Squeeze(b, x)",
     "a [1,1,40,40]"},
    {"dilated, and padded before",
     "in a float32[N,1,H,W]; init w float32[4,1,5,3]; init x int64[1] packed = 2; "
     "init p int64[8] packed = 0 0 2 0 0 0 1 0; e = Pad(a, p); b = Conv(e, w) dilations=[4,1]; "
     "y = Squeeze(b, x)",
     "a [1,1,14,14]"},
    {"padded to the same",
     "in a float32[N,1,H,W]; init w float32[4,1,5,3]; init x int64[1] packed = 2; "
     "b = Conv(a, w) strides=[8,1] auto_pad=\"SAME_UPPER\"; c = MaxPool(b) kernel_shape=[2,1] "
     "strides=[2,1] ceil_mode=1; y = Squeeze(c, x)",
     "a [1,1,16,224]"},
    {"positions behind a stride",
     "in a float32[N,80,frames]; init w float32[6,80,3]; init p float32[6,50]; "
     "b = Conv(a, w) strides=[2] pads=[1,1]; y = Add(b, p)",
     "a [1,80,100]"},
    {"positions of patches that are counted from a length",
     "in a int64[N,seq]; init i int64 packed = 1; init o int64 packed = 0; "
     "init e int64 packed = 1; init q int64[4] packed = 0 2 0 1; init p float32[7,4]; "
     "b = Pad(a, q); s = Shape(b); n = Gather(s, i); r = Range(o, n, e); y = Gather(p, r)",
     "a [1,4]"},
    {"squeezed in a body, perhaps",
     "in a float32[N,1,H,W]; in c bool; init w float32[4,1,3,3]; init x int64[1] packed = 2; "
     "b = Conv(a, w); y = If(c) then_branch={ t = Squeeze(b, x); out t float32 } "
     "else_branch={ e = Identity(b); out e float32 }",
     "a [1,1,224,224] c [1]"},
    {"a window that is not known",
     "in a float32[N,1,H,W]; in w float32[4,1,?,3]; init x int64[1] packed = 2; "
     "b = Conv(a, w); y = Squeeze(b, x)",
     "a [1,1,224,224] w [4,1,3,3]"},
    {"no rank", "in a float32; y = Identity(a)", "a [1]"},
    {"nothing in it", "in a float32[0,3]; y = Identity(a)", "a [0,3]"},
};

static void test_sizes(void **state)
{
    const struct row *row = *state;
    struct oq_draw_options options = {.seed = 1};
    onnxq_error error;
    const char *text = "";
    struct oq_input_sets *sets =
        draw_one(test_printf("ir 8; opset 17; %s", row->text), &options, &error);
    for (size_t i = 0; sets != NULL && i < sets->list[0].inputs.count; i++) {
        const struct oq_array *array = &sets->list[0].inputs.list[i];
        char type[128];
        oq_array_describe(array, type, sizeof(type));
        text = test_printf("%s%s%s %s", text, i > 0 ? " " : "", array->name, strchr(type, '['));
    }
    check_text(sets != NULL ? text : test_error_text(&error), row->expected);
}

/* --- other sizes ------------------------------------------------------------ */

static const struct try_row {
    const char *name, *text;
    unsigned tried;
    const char *expected; /* dims; sizes as they are named; whether there are others */
} try_rows[] = {
    {"nothing is open", "in a float32[1,3]; y = Relu(a)", 1, "a [1,3]; (null)"},
    {"the usual ones", "in a float32[N,3,?,W]; y = Relu(a)", 0,
     "a [1,3,224,224]; --dim N=1 --dim a:2=224 --dim W=224, others"},
    {"second", "in a float32[N,3,?,W]; y = Relu(a)", 2,
     "a [1,3,48,48]; --dim N=1 --dim a:2=48 --dim W=48, others"},
    {"the last", "in a float32[N,3,?,W]; y = Relu(a)", 9,
     "a [1,3,640,640]; --dim N=1 --dim a:2=640 --dim W=640, others"},
    {"beside a height that is known", "in a float32[N,3,96,W]; y = Relu(a)", 0,
     "a [1,3,96,96]; --dim N=1 --dim W=96, others"},
    {"no longer as wide as it is high", "in a float32[N,3,96,W]; y = Relu(a)", 6,
     "a [1,3,96,320]; --dim N=1 --dim W=320, others"},
    {"what is asked for stays",
     "in a float32[N,K,len]; init w float32[9,5,3]; b = Relu(a); y = Conv(b, w)", 1,
     "a [1,5,100]; --dim N=1 --dim K=5 --dim len=100, others"},
    {"batches and pasts have no others", "in a float32[batch,past_len]; y = Relu(a)", 3,
     "a [1,0]; --dim batch=1 --dim past_len=0"},
    {"formulas follow", "in a int64[N,seq]; in b int64[N,\"seq + 1\"]; y = Identity(a)", 4,
     "a [1,32] b [1,33]; --dim N=1 --dim seq=32, others"},
    {"a name for a shell", "in a float32[\"a b\",3]; y = Relu(a)", 0, "a [1,3]; --dim 'a b=1'"},
    {"more than a line has room for",
     "in a float32[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]; y = Relu(a)",
     0,
     "a [1,8]; --dim "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1 ..., others"},
};

static void test_tries(void **state)
{
    const struct try_row *row = *state;
    struct oq_draw_options options = {.seed = 1, .tried = row->tried};
    onnxq_error error;
    const char *text = "";
    struct oq_input_sets *sets =
        draw_one(test_printf("ir 8; opset 17; %s", row->text), &options, &error);
    assert_non_null(sets);
    for (size_t i = 0; i < sets->list[0].inputs.count; i++) {
        char type[128];
        oq_array_describe(&sets->list[0].inputs.list[i], type, sizeof(type));
        text = test_printf("%s%s%s %s", text, i > 0 ? " " : "", sets->list[0].inputs.list[i].name,
                           strchr(type, '['));
    }
    check_text(test_printf("%s; %s%s", text, sets->sizes != NULL ? sets->sizes : "(null)",
                           sets->has_others ? ", others" : ""),
               row->expected);
}

/* All have their turn; then the error of the first is told, with its sizes. */
static void test_trying_others(void **state)
{
    (void)state;
    char sizes[] = "--dim h=224";
    struct oq_input_sets sets = {.sizes = sizes, .has_others = true};
    struct oq_feed_options options = {0};
    onnxq_error error, first;
    unsigned n = 0;
    do {
        oq_error_init(&error);
        oq_fail(&error, ONNXQ_ERROR_INPUT, "failure %u", n++);
    } while (oq_feed_try_others(&options, &sets, &first, &error));
    assert_int_equal(n, OQ_DRAW_TRIES);
    check_text(error.message, "failure 0");
    check_text(error.hint, "--dim sets other sizes than those that were drawn (--dim h=224); "
                           "other usual ones do not run either");

    sets.has_others = false;
    options.draw.tried = 0;
    oq_error_init(&error);
    oq_fail(&error, ONNXQ_ERROR_INPUT, "failure");
    assert_false(oq_feed_try_others(&options, &sets, &first, &error));
    check_text(error.hint, "--dim sets other sizes than those that were drawn (--dim h=224)");

    /* A crash is told at once. */
    sets.has_others = true;
    oq_error_init(&error);
    oq_fail(&error, ONNXQ_ERROR_ENGINE, "crashed");
    assert_false(oq_feed_try_others(&options, &sets, &first, &error));
    check_text(error.hint, "--dim sets other sizes than those that were drawn (--dim h=224)");

    /* What no size is to blame for. */
    oq_error_init(&error);
    oq_fail(&error, ONNXQ_ERROR_CANCELLED, "cancelled");
    assert_false(oq_feed_try_others(&options, &sets, &first, &error));
    check_text(error.message, "cancelled");
    sets.sizes = NULL;
    oq_error_init(&error);
    oq_fail(&error, ONNXQ_ERROR_INPUT, "failure");
    assert_false(oq_feed_try_others(&options, &sets, &first, &error));
    check_text(error.hint, "");
}

/* --- settings --------------------------------------------------------------- */

static const struct setting_row {
    const char *name;
    struct oq_dim_setting dim;
    struct oq_range_setting range;
    const char *expected;
} setting_rows[] = {
    {"a dimension", {"batch", 3}, {"x", 2, 5}, "x int64 [3,1000] 2..5; y float32 [3,4] normal"},
    {"by place", {"y:1", 6}, {"x", 2, 5}, "x int64 [1,1000] 2..5; y float32 [1,6] normal"},
    {"a name by place", {"x:0", 2}, {"x", 2, 5}, "x int64 [2,1000] 2..5; y float32 [2,4] normal"},
    {"zero", {"batch", 0}, {"x", 2, 5}, "x int64 [0,1000]; y float32 [0,4]"},
    {"between whole numbers",
     {"batch", 1},
     {"x", -1.5, 0.5},
     "x int64 [1,1000] -1..0; y float32 [1,4] normal"},
    {"of floats", {"batch", 1}, {"y", 3, 3}, "x int64 [1,1000] 0..1; y float32 [1,4] 3"},
    {"a dimension that is not there",
     {"bach", 3},
     {"x", 2, 5},
     "no input has a dimension \"bach\" to be set\nhint: did you mean \"batch\"?"},
    {"a place that is not there",
     {"y:7", 3},
     {"x", 2, 5},
     "dimension \"y:7\": input \"y\" has 2 dimensions"},
    {"a dimension that has a size",
     {"x:1", 3},
     {"x", 2, 5},
     "dimension \"x:1\": it is 1000 in the model"},
    {"a negative size", {"batch", -3}, {"x", 2, 5}, "dimension \"batch\": -3 is no size"},
    {"nothing like it",
     {"z:0", 3},
     {"x", 2, 5},
     "no input has a dimension \"z:0\" to be set\nhint: a dimension without a name is "
     "INPUT:AXIS, as in images:0=4"},
    {"a range of nothing",
     {"batch", 3},
     {"xx", 2, 5},
     "a range for \"xx\", which is no input to be drawn\nhint: did you mean \"x\"? it takes \"x\", "
     "\"y\""},
};

static const char *error_and_hint(const onnxq_error *error)
{
    const char *text = test_error_text(error);
    return error->hint[0] != '\0' ? test_printf("%s\nhint: %s", text, error->hint) : text;
}

static void test_settings(void **state)
{
    const struct setting_row *row = *state;
    struct oq_draw_options options = {
        .dims = &row->dim, .n_dims = 1, .ranges = &row->range, .n_ranges = 1, .seed = 1};
    /* The size that K of the product asks for gives way to a setting. */
    const char *text = "ir 8; opset 17; in x int64[batch,1000]; in y float32[batch,?]; "
                       "init w float32[4,5]; z = MatMul(y, w); out z float32";
    onnxq_error error;
    struct oq_input_sets *sets = draw_one(text, &options, &error);
    check_text(sets != NULL ? describe_set(&sets->list[0]) : error_and_hint(&error), row->expected);
}

/* A range is cut down to what the type holds: nothing becomes infinite. */
static void test_wide_range(void **state)
{
    (void)state;
    const struct oq_range_setting range = {"x", 1e300, DBL_MAX};
    static const struct {
        const char *type;
        double largest;
    } rows[] = {{"float16", 65504},
                {"bfloat16", 0x1.fep127},
                {"float32", FLT_MAX},
                {"float64", DBL_MAX / 2}};
    struct oq_draw_options options = {.ranges = &range, .n_ranges = 1};
    for (size_t i = 0; i < COUNT(rows); i++) {
        onnxq_error error;
        double value;
        const char *text = test_printf("ir 8; opset 17; in x %s[9]; y = Relu(x)", rows[i].type);
        struct oq_input_sets *sets = draw_one(text, &options, &error);
        assert_non_null(sets);
        oq_array_read_doubles(&sets->list[0].inputs.list[0], 8, 1, &value);
        assert_true(value > 0 && value <= rows[i].largest);
    }
}

static void test_two_models(void **state)
{
    (void)state;
    const char *first = "ir 8; opset 17; in x int64[3000]; init w float32[9,4]; y = Gather(w, x)";
    const char *second = "ir 8; opset 17; in x int64[3000]; init w float32[5,4]; y = Gather(w, x)";
    const onnxq_model *models[2];
    assert_true(builder_write(test_builder(first), test_path("first.onnx")));
    assert_true(builder_write(test_builder(second), test_path("second.onnx")));
    models[0] = test_open_path(test_path("first.onnx"));
    models[1] = test_open_path(test_path("second.onnx"));
    struct oq_draw_options options = {.seed = 1};
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    assert_true(draw(models, 2, &options, 1, sets, &error));
    check_text(describe_set(&sets->list[0]), "x int64 [3000] 0..4");
}

/* --- limits ----------------------------------------------------------------- */

static const struct row error_rows[] = {
    {"too large", "in x float32[1099511627776,2]; y = Relu(x)",
     "input \"x\": float32 [1099511627776,2] would take 8.19e+03 GB, at most 2 are drawn"},
    {"an overflow", "in x float32[9223372036854775807,9223372036854775807,N]; y = Relu(x)",
     "input \"x\": float32 [9223372036854775807,9223372036854775807,N] would take 2.54e+30 GB, "
     "at most 2 are drawn\nhint: --dim NAME=N sets the size of a dimension"},
    {"too large together", "in a float32[400000000]; in b float32[400000000]; y = Add(a, b)",
     "input \"b\": float32 [400000000] would take 2.98 GB with the inputs before it, at most 2 are "
     "drawn"},
    {"complex numbers", "in x complex64[2]; y = Identity(x)",
     "input \"x\": it is complex64 [2]: there are no random values of that type\n"
     "hint: give values with --inputs"},
};

static void test_errors(void **state)
{
    const struct row *row = *state;
    struct oq_draw_options options = {0};
    onnxq_error error;
    assert_null(draw_one(test_printf("ir 8; opset 17; %s", row->text), &options, &error));
    check_text(error_and_hint(&error), row->expected);
}

/* Appends nodes without copying the list each time. */
static void add_node(struct builder *builder, Oq__Pb__NodeProto **nodes, const char *op_type,
                     const char *const *inputs, const char *output)
{
    Oq__Pb__GraphProto alone = OQ__PB__GRAPH_PROTO__INIT;
    nodes[builder->graph->n_node++] =
        builder_node(builder, &alone, op_type, NULL, inputs, (const char *[]){output, NULL});
}

/* A model of many nodes, inputs and uses takes no longer than its size. */
static void test_large(void **state)
{
    (void)state;
    enum { N_NODES = 60000, N_INPUTS = 2000 };
    struct builder *builder = test_builder("ir 8; opset 17; in x int64[a,b]; in z int64[c,d]");
    const char *before = "x";
    builder->graph->node = builder_alloc(builder, 2 * N_NODES, sizeof(Oq__Pb__NodeProto *));
    for (int i = 0; i < N_NODES; i++) {
        const char *after = test_printf("v%d", i);
        add_node(builder, builder->graph->node, "Identity", (const char *[]){before, NULL}, after);
        add_node(builder, builder->graph->node, "Add", (const char *[]){"z", after, NULL},
                 test_printf("u%d", i));
        before = after;
    }
    for (int i = 0; i < N_INPUTS; i++)
        builder_append(builder, &builder->graph->input, &builder->graph->n_input,
                       builder_value(builder, test_printf("i%d", i), 7, (int64_t[]){-1, 2}, 2));
    const onnxq_model *model = test_open(builder);
    struct oq_draw_options options = {0};
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    assert_true(draw(&model, 1, &options, 2, sets, &error));
    assert_int_equal(sets->list[1].inputs.count, N_INPUTS + 2);
}

/* --- the same bits ---------------------------------------------------------- */

static uint64_t checksum(const struct oq_array *array)
{
    uint64_t sum = 0xcbf29ce484222325u;
    const uint8_t *bytes = array->data;
    for (uint64_t i = 0; i < array->nbytes; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

/* What a Python program made by the description in random.h. */
static void test_same_bits(void **state)
{
    (void)state;
    const char *text = "ir 8; opset 17; in a float32[1000]; in b float16[1000]; "
                       "in c bfloat16[1000]; in d float64[1000]; in e int64[1000]; "
                       "in f uint8[1000]; in g uint4[7]; init w float32[500,2]; y = Gather(w, e)";
    const uint64_t expected[] = {0x24683f55947a8dc2u, 0x4f71b16ff80f3940u, 0xec0964cef4edcd4bu,
                                 0x3a106e2a522efb0du, 0xfa173b77d86c821au, 0xf1af3299e6ced7c9u,
                                 0x9537ec0292925dffu};
    const onnxq_model *model = test_model(text);
    struct oq_draw_options options = {.seed = 42};
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    assert_true(draw(&model, 1, &options, 2, sets, &error));
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_int_equal(checksum(&sets->list[0].inputs.list[i]), expected[i]);
    check_text(sets->list[1].label, "random inputs 2");
}

/* Another seed, set or name: other values. Another input beside it: the same. */
static void test_streams(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint64_t seed;
    } rows[] = {{"in x float32[9]", 0},
                {"in x float32[9]", 1},
                {"in z float32[9]", 0},
                {"in w float32[3]; in x float32[9]", 0}};
    uint64_t sums[COUNT(rows)][2];
    for (size_t i = 0; i < COUNT(rows); i++) {
        const onnxq_model *model = test_model(test_printf("ir 8; opset 17; %s", rows[i].text));
        struct oq_draw_options options = {.seed = rows[i].seed};
        struct oq_input_sets *sets = test_alloc(sizeof(*sets));
        onnxq_error error;
        assert_true(draw(&model, 1, &options, 2, sets, &error));
        for (size_t k = 0; k < 2; k++)
            sums[i][k] = checksum(&sets->list[k].inputs.list[sets->list[k].inputs.count - 1]);
    }
    assert_int_not_equal(sums[0][0], sums[0][1]);
    assert_int_not_equal(sums[0][0], sums[1][0]);
    assert_int_not_equal(sums[0][0], sums[2][0]);
    assert_int_equal(sums[0][0], sums[3][0]);
    assert_int_equal(sums[0][1], sums[3][1]);
}

static void test_moments(void **state)
{
    (void)state;
    struct oq_random random;
    double sum = 0, squares = 0, uniform = 0;
    const int n = 100000;
    oq_random_init(&random, 0, 0, "");
    for (int i = 0; i < n; i++) {
        double value = oq_random_normal(&random), other = oq_random_uniform(&random, -2, 6);
        int64_t integer = oq_random_integer(&random, INT64_MIN, INT64_MAX);
        sum += value;
        squares += value * value;
        uniform += other;
        assert_true(other >= -2 && other <= 6);
        assert_in_range(oq_random_integer(&random, 3, 3 + (integer & 1)), 3, 4);
    }
    assert_true(sum / n > -0.01 && sum / n < 0.01);
    assert_true(squares / n > 0.99 && squares / n < 1.01);
    assert_true(uniform / n > 1.98 && uniform / n < 2.02);
}

/* --- formulas --------------------------------------------------------------- */

static bool value_of(void *context, const char *text, size_t length, int64_t *value)
{
    (void)context;
    *value = text[0] == 'n' ? 5 : INT64_MAX;
    return length <= 3;
}

static const struct formula_row {
    const char *name;
    int64_t expected; /* -1: none */
} formula_rows[] = {
    {"n + 1", 6},
    {"2*n", 10},
    {"n*n - 1", 24},
    {"(n + 2)//3", 2},
    {"floor(n/2)", 2},
    {"Max(1, n)", 5},
    {"min(n,3,4) + 1", 4},
    {"((n))*1", 5},
    {"n", -1},
    {"7", -1},
    {"", -1},
    {"n +", -1},
    {"n + 1)", -1},
    {"(n + 1", -1},
    {"n / 0", -1},
    {"n - m", INT64_MIN + 6},
    {"n-m", -1}, /* a name */
    {"m + m", -1},
    {"99999999999999999999 + 1", -1},
    {"long + 1", -1},
    {"sqrt(n)", -1},
    {"((((((((((((((((((((1))))))))))))))))))))", -1},
};

static void test_formulas(void **state)
{
    const struct formula_row *row = *state;
    int64_t value;
    bool found = oq_expression_evaluate(row->name, value_of, NULL, &value);
    assert_int_equal(found ? value : -1, row->expected);
}

int main(void)
{
    TEST_ROWS(test_ranges, range_rows);
    TEST_ROWS(test_sizes, size_rows);
    TEST_ROWS(test_tries, try_rows);
    TEST(test_trying_others);
    TEST_ROWS(test_settings, setting_rows);
    TEST(test_wide_range);
    TEST(test_two_models);
    TEST_ROWS(test_errors, error_rows);
    TEST(test_large);
    TEST(test_same_bits);
    TEST(test_streams);
    TEST(test_moments);
    TEST_ROWS(test_formulas, formula_rows);
    return suite_run();
}
