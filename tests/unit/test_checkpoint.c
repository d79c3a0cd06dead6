/* Checkpoints: what is read of their headers, and everything that is refused. */
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "support/safetensors.h"
#include "support/suite.h"

/* Each module in a line, or the error, with the hint in parentheses. */
static const char *describe(const char *path)
{
    onnxq_error error;
    onnxq_checkpoint *checkpoint = onnxq_checkpoint_open(path, &error);
    const char *text = "";
    if (checkpoint == NULL)
        return error.hint[0] == '\0' ? test_error_text(&error)
                                     : test_printf("%s (%s)", test_error_text(&error), error.hint);
    static const char *const names[] = {"?", "gptq", "gptq_v2", "awq"};
    for (size_t i = 0; i < checkpoint->n_modules; i++) {
        const struct oq_module *m = &checkpoint->modules[i];
        text = test_printf("%s%s%s: %s, %u bits, %llu x %llu in groups of %llu%s%s", text,
                           i == 0 ? "" : "; ", m->name, names[m->packing], m->bits,
                           (unsigned long long)m->rows, (unsigned long long)m->columns,
                           (unsigned long long)m->group_size, m->refusal == NULL ? "" : ": ",
                           m->refusal == NULL ? "" : m->refusal);
    }
    onnxq_checkpoint_close(checkpoint);
    return text;
}

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin        \
    "," #end "]}"

/* 32 x 8 in groups of 16, 4 bits. */
#define WEIGHT T("m.qweight", "I32", "4,8", 0, 128)
#define ZEROS  T("m.qzeros", "I32", "2,1", 128, 136)
#define SCALES T("m.scales", "F16", "2,8", 136, 168)
#define MODULE WEIGHT "," ZEROS "," SCALES
#define NBYTES 168
#define GOOD   "m: gptq, 4 bits, 32 x 8 in groups of 16"

static const struct row {
    const char *name, *header;
    size_t data_nbytes;
    const char *config; /* quantize_config.json, or NULL */
    const char *expected;
} rows[] = {
    {"as it should be", "{" MODULE "}", NBYTES, NULL, GOOD},
    {"spaces behind it", "{" MODULE "}   ", NBYTES, NULL, GOOD},
    {"metadata", "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"b\"}," MODULE "}", NBYTES, NULL,
     GOOD},
    {"more bytes than tensors", "{" MODULE "}", NBYTES + 5, NULL, GOOD},
    {"an unknown type", "{" MODULE "," T("x", "F8_E4M3", "2", 168, 170) "}", NBYTES + 2, NULL,
     GOOD},
    {"empty tensors", "{" T("e", "F32", "0,4", 0, 0) "," MODULE "," T("f", "I64", "0", 50, 50) "}",
     NBYTES, NULL, GOOD},
    {"AWQ",
     "{" T("m.qweight", "I32", "32,2", 0, 256) "," T("m.qzeros", "I32", "2,2", 256, 272) "," T(
         "m.scales", "BF16", "2,16", 272, 336) "}",
     336, NULL, "m: awq, 4 bits, 32 x 16 in groups of 16"},
    {"3 bits",
     "{" T("m.qweight", "I32", "3,32", 0, 384) "," T("m.qzeros", "I32", "1,3", 384, 396) "," T(
         "m.scales", "F32", "1,32", 396, 524) "}",
     524, NULL, "m: gptq, 3 bits, 32 x 32 in groups of 32: MatMulNBits has no 3 bits"},
    {"groups of 8",
     "{" WEIGHT
     "," T("m.qzeros", "I32", "4,1", 128, 144) "," T("m.scales", "F16", "4,8", 144, 208) "}",
     208, NULL, "m: gptq, 4 bits, 32 x 8 in groups of 8: groups that are no multiple of 16 rows"},
    {"AWQ of 8 bits",
     "{" T("m.qweight", "I32", "32,2", 0, 256) "," T("m.qzeros", "I32", "1,2", 256, 264) "," T(
         "m.scales", "F32", "1,8", 264, 296) "}",
     296, NULL, "m: awq, 8 bits, 32 x 8 in groups of 32: AWQ is read with 4 bits"},
    {"g_idx", "{" MODULE "," T("m.g_idx", "I32", "32", 168, 296) "}", 296, NULL, GOOD},

    /* the header */
    {"no JSON", "{]", 0, NULL, "a.safetensors: line 1, column 2: expected a string"},
    {"it is an array", "[]", 0, NULL,
     "a.safetensors: is no file of safetensors (it begins with the length of a header of JSON, "
     "and that header)"},
    {"something follows", "{" MODULE "} x", NBYTES, NULL,
     "a.safetensors: line 1, column 200: something follows the end"},
    {"a tensor is a number", "{\"m\":1}", 0, NULL,
     "a.safetensors: line 1, column 6: expected an object"},
    {"no type", "{\"m\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, NULL,
     "a.safetensors: tensor \"m\": lacks dtype, shape or data_offsets"},
    {"the type twice",
     "{\"m\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, NULL,
     "a.safetensors: tensor \"m\": \"dtype\" is given twice"},
    {"one offset", "{\"m\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, NULL,
     "a.safetensors: tensor \"m\": data_offsets are not a begin and an end behind it"},
    {"three offsets", "{\"m\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8, NULL,
     "a.safetensors: tensor \"m\": data_offsets are not two numbers"},
    {"backwards", "{" T("m", "F32", "1", 8, 4) "}", 8, NULL,
     "a.safetensors: tensor \"m\": data_offsets are not a begin and an end behind it"},
    {"beyond the end", "{" T("m", "F32", "2", 0, 8) "}", 7, NULL,
     "a.safetensors: tensor \"m\": ends at byte 8 of the data, which has 7 (" OQ_CUT_OFF_HINT ")"},
    {"offsets of 64 bits", "{" T("m", "F32", "1", 0, 18446744073709551615) "}", 7, NULL,
     "a.safetensors: tensor \"m\": ends at byte 18446744073709551615 of the data, which has 7 "
     "(" OQ_CUT_OFF_HINT ")"},
    {"more than 64 bits", "{" T("m", "F32", "1", 0, 18446744073709551616) "}", 7, NULL,
     "a.safetensors: line 1, column 71: 18446744073709551616 is too large"},
    {"another size", "{" T("m", "F32", "3", 0, 8) "}", 8, NULL,
     "a.safetensors: tensor \"m\": 3 elements of F32 are not the 8 bytes that data_offsets say"},
    {"elements overflow", "{" T("m", "F32", "4294967296,4294967296", 0, 0) "}", 0, NULL,
     "a.safetensors: tensor \"m\": its shape has more elements than 64 bits count"},
    {"bytes overflow", "{" T("m", "F64", "4611686018427387904", 0, 0) "}", 0, NULL,
     "a.safetensors: tensor \"m\": 4611686018427387904 elements of F64 are not the 0 bytes that "
     "data_offsets say"},
    {"a negative dimension", "{" T("m", "F32", "-1", 0, 4) "}", 4, NULL,
     "a.safetensors: line 1, column 30: expected a whole number of 0 or more"},
    {"shared bytes", "{" T("a", "F32", "2", 0, 8) "," T("b", "F32", "2", 4, 12) "}", 12, NULL,
     "a.safetensors: tensor \"b\": shares bytes with \"a\""},
    {"shared bytes around an empty one",
     "{" T("a", "F32", "2", 0, 8) "," T("e", "F32", "0", 2, 2) "," T("b", "F32", "1", 4, 8) "}", 8,
     NULL, "a.safetensors: tensor \"b\": shares bytes with \"a\""},
    {"a name twice", "{" T("a", "F32", "1", 0, 4) "," T("a", "F32", "1", 4, 8) "}", 8, NULL,
     "a.safetensors: tensor \"a\": is there twice"},
    {"no module", "{" T("w", "F32", "1", 0, 4) "}", 4, NULL,
     "a.safetensors: has no tensor NAME.qweight, as GPTQ and AWQ write them (other ways to "
     "quantize, and models that are not, are not read)"},

    /* modules */
    {"no zero points", "{" WEIGHT "," SCALES "}", NBYTES, NULL,
     "a.safetensors: module \"m\": has no qzeros (a part of a checkpoint? name its "
     "model.safetensors.index.json)"},
    {"no scales", "{" WEIGHT "," ZEROS "}", NBYTES, NULL,
     "a.safetensors: module \"m\": has no scales (a part of a checkpoint? name its "
     "model.safetensors.index.json)"},
    {"floats for integers", "{" T("m.qweight", "F32", "4,8", 0, 128) "," ZEROS "," SCALES "}",
     NBYTES, NULL, "a.safetensors: module \"m\": its qweight is F32, expected I32"},
    {"integers for floats", "{" WEIGHT "," ZEROS "," T("m.scales", "I16", "2,8", 136, 168) "}",
     NBYTES, NULL, "a.safetensors: module \"m\": its scales is I16, expected F16, BF16 or F32"},
    {"a vector", "{" T("m.qweight", "I32", "32", 0, 128) "," ZEROS "," SCALES "}", NBYTES, NULL,
     "a.safetensors: module \"m\": its qweight is not a matrix with elements"},
    {"no elements", "{" T("m.qweight", "I32", "0,8", 0, 0) "," ZEROS "," SCALES "}", NBYTES, NULL,
     "a.safetensors: module \"m\": its qweight is not a matrix with elements"},
    {"zero points of other groups",
     "{" WEIGHT "," T("m.qzeros", "I32", "1,1", 128, 132) "," SCALES "}", NBYTES, NULL,
     "a.safetensors: module \"m\": qzeros [1,1] do not fit scales [2,8] in 2, 3, 4 or 8 bits"},
    {"16 bits", "{" WEIGHT "," T("m.qzeros", "I32", "2,4", 168, 200) "," SCALES "}", 200, NULL,
     "a.safetensors: module \"m\": qzeros [2,4] do not fit scales [2,8] in 2, 3, 4 or 8 bits"},
    {"neither packing", "{" T("m.qweight", "I32", "8,4", 0, 128) "," ZEROS "," SCALES "}", NBYTES,
     NULL,
     "a.safetensors: module \"m\": qweight [8,4] is packed neither as GPTQ has it nor as AWQ, of "
     "8 columns"},
    {"groups that do not divide",
     "{" T("m.qweight", "I32", "4,8", 0, 128) "," T("m.qzeros", "I32", "3,1", 128, 140) "," T(
         "m.scales", "F16", "3,8", 140, 188) "}",
     188, NULL,
     "a.safetensors: module \"m\": has 32 rows in 3 groups, and nothing says how many are in "
     "each"},
    {"groups that do not divide, as said",
     "{" T("m.qweight", "I32", "5,8", 0, 160) "," T("m.qzeros", "I32", "3,1", 160, 172) "," T(
         "m.scales", "F16", "3,8", 172, 220) "}",
     220, "{\"group_size\":16}", "m: gptq, 4 bits, 40 x 8 in groups of 16"},
    {"g_idx of another length", "{" MODULE "," T("m.g_idx", "I32", "31", 168, 292) "}", 292, NULL,
     "a.safetensors: module \"m\": its g_idx is not an I32 for each of 32 rows"},
    {"g_idx of another type", "{" MODULE "," T("m.g_idx", "I64", "32", 168, 424) "}", 424, NULL,
     "a.safetensors: module \"m\": its g_idx is not an I32 for each of 32 rows"},

    /* what stands beside it */
    {"one group",
     "{" WEIGHT
     "," T("m.qzeros", "I32", "1,1", 128, 132) "," T("m.scales", "F16", "1,8", 132, 148) "}",
     148, "{\"bits\":4,\"group_size\":-1}", "m: gptq, 4 bits, 32 x 8 in groups of 32"},
    {"a group larger than the weight",
     "{" WEIGHT
     "," T("m.qzeros", "I32", "1,1", 128, 132) "," T("m.scales", "F16", "1,8", 132, 148) "}",
     148, "{\"bits\":4,\"group_size\":128}", "m: gptq, 4 bits, 32 x 8 in groups of 32"},
    {"the second format", "{" MODULE "}", NBYTES,
     "{\"checkpoint_format\":\"gptq_v2\",\"bits\":4,\"desc_act\":false,\"damp_percent\":0.01,"
     "\"model_name\":null,\"dynamic\":null}",
     "m: gptq_v2, 4 bits, 32 x 8 in groups of 16"},
    {"AutoRound", "{" MODULE "}", NBYTES,
     "{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:auto_gptq\"}", GOOD},
    {"other bits", "{" MODULE "}", NBYTES, "{\"bits\":8}",
     "a.safetensors: module \"m\": has 4 bits, and quantize_config.json says 8"},
    {"other bits of some modules", "{" MODULE "}", NBYTES,
     "{\"bits\":8,\"dynamic\":{\"m\":{\"bits\":4}},\"group_size\":128}", GOOD},
    {"other groups", "{" MODULE "}", NBYTES, "{\"bits\":4,\"group_size\":32}",
     "a.safetensors: module \"m\": has 32 rows in 2 groups, and quantize_config.json says "
     "group_size 32"},
    {"another method", "{" MODULE "}", NBYTES, "{\"quant_method\":\"bitsandbytes\"}",
     "quantize_config.json: quant_method is \"bitsandbytes\"; GPTQ is read in the formats gptq "
     "and gptq_v2, and AWQ in gemm"},
    {"another format", "{" MODULE "}", NBYTES,
     "{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}",
     "quantize_config.json: checkpoint_format is \"marlin\"; GPTQ is read in the formats gptq and "
     "gptq_v2, and AWQ in gemm"},
    {"another format of AWQ", "{" MODULE "}", NBYTES,
     "{\"quant_method\":\"awq\",\"version\":\"gemv\"}",
     "quantize_config.json: version is \"gemv\"; GPTQ is read in the formats gptq and gptq_v2, and "
     "AWQ in gemm"},
    {"another format of AutoRound", "{" MODULE "}", NBYTES,
     "{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:exllamav2\"}",
     "quantize_config.json: packing_format is \"auto_round:exllamav2\"; GPTQ is read in the "
     "formats "
     "gptq and gptq_v2, and AWQ in gemm"},
    {"it says AWQ", "{" MODULE "}", NBYTES, "{\"quant_method\":\"awq\"}",
     "a.safetensors: module \"m\": is packed as GPTQ has it, and quantize_config.json says "
     "otherwise"},
    {"bits out of range", "{" MODULE "}", NBYTES, "{\"bits\":-4}",
     "quantize_config.json: bits or group_size is out of range"},
    {"words of other sizes", "{" MODULE "}", NBYTES, "{\"pack_dtype\":\"int64\"}",
     "quantize_config.json: pack_dtype is \"int64\", expected int32"},
    {"no object", "{" MODULE "}", NBYTES, "[]",
     "quantize_config.json: line 1, column 1: expected an object"},
};

/* The folder is not of interest. */
static const char *without_folder(const char *text)
{
    const char *folder = test_path("");
    const char *at;
    while ((at = strstr(text, folder)) != NULL)
        text = test_printf("%.*s%s", (int)(at - text), text, at + strlen(folder));
    return text;
}

static void test_header(void **state)
{
    const struct row *row = *state;
    test_write_safetensors("a.safetensors", row->header, row->data_nbytes);
    if (row->config != NULL)
        test_write_file(test_path("quantize_config.json"), row->config, strlen(row->config));
    check_text(without_folder(describe(test_path("a.safetensors"))), row->expected);
}

/* --- files that are none --- */

static const struct bytes_row {
    const char *name, *bytes;
    size_t nbytes;
    const char *expected;
} bytes_rows[] = {
#define NONE                                                                                       \
    "a.safetensors: is no file of safetensors (it begins with the length of a header of JSON, "    \
    "and that header)"
    {"empty", "", 0, NONE},
    {"less than a length", "\2\0\0\0", 4, NONE},
    {"a length and nothing", "\2\0\0\0\0\0\0\0", 8, NONE},
    {"a header that is cut off", "\3\0\0\0\0\0\0\0{}", 10, NONE},
    {"a huge header", "\0\0\0\0\0\0\0\200{}", 10, NONE},
    {"the largest length", "\377\377\377\377\377\377\377\377{}", 10, NONE},
    {"as PyTorch saves", "PK\3\4\0\0\0\0\0\0\0\0", 12,
     "a.safetensors: is no file of safetensors (a zip file, as PyTorch saves: save it as "
     "safetensors)"},
};

static void test_bytes(void **state)
{
    const struct bytes_row *row = *state;
    test_write_file(test_path("a.safetensors"), row->bytes, row->nbytes);
    check_text(describe(test_path("a.safetensors")), row->expected);
}

/* Cut off anywhere it is refused, and never read beyond. */
static void test_cut_off(void **state)
{
    (void)state;
    size_t nbytes;
    test_write_safetensors("a.safetensors", "{" MODULE "}", NBYTES);
    const uint8_t *bytes = test_read_file(test_path("a.safetensors"), &nbytes);
    for (size_t n = 0; n < nbytes; n++) {
        onnxq_error error;
        test_write_file(test_path("a.safetensors"), bytes, n);
        assert_null(onnxq_checkpoint_open(test_path("a.safetensors"), &error));
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    }
}

/* --- several files --- */

static const struct index_row {
    const char *name, *index, *expected;
} index_rows[] = {
    {"two files",
     "{\"metadata\":{\"total_size\":1.5},\"weight_map\":{\"m.qweight\":\"1.safetensors\","
     "\"m.qzeros\":\"2.safetensors\",\"m.scales\":\"2.safetensors\"}}",
     GOOD},
    {"a file that is not there", "{\"weight_map\":{\"m.qweight\":\"3.safetensors\"}}",
     "3.safetensors: cannot open: No such file or directory"},
    {"a file elsewhere", "{\"weight_map\":{\"m.qweight\":\"../1.safetensors\"}}",
     "i.json: line 1, column 46: \"../1.safetensors\" is no name of a file beside the index"},
    {"a tensor twice",
     "{\"weight_map\":{\"m.qweight\":\"1.safetensors\",\"m.qweight\":\"1.safetensors\"}}",
     "i.json: line 1, column 71: \"m.qweight\" is there twice"},
    {"a tensor that it does not have",
     "{\"weight_map\":{\"m.qweight\":\"1.safetensors\",\"m.qzeros\":\"2.safetensors\"}}",
     "2.safetensors: tensor \"m.scales\": the index has it in no file"},
    {"a tensor in another file",
     "{\"weight_map\":{\"m.qweight\":\"2.safetensors\",\"m.qzeros\":\"1.safetensors\"}}",
     "2.safetensors: tensor \"m.qzeros\": the index has it in 1.safetensors"},
    {"no map", "{\"metadata\":{}}",
     "i.json: line 1, column 16: \"weight_map\" is missing, or empty"},
    {"no file", "{\"weight_map\":{\"m.qweight\":\"\"}}",
     "i.json: line 1, column 30: \"\" is no name of a file beside the index"},
    {"no JSON", "weight_map", "i.json: line 1, column 1: expected an object"},
};

static void test_index(void **state)
{
    const struct index_row *row = *state;
    test_write_safetensors("1.safetensors", "{" WEIGHT "}", 128);
    test_write_safetensors(
        "2.safetensors",
        "{" T("m.qzeros", "I32", "2,1", 0, 8) "," T("m.scales", "F16", "2,8", 8, 40) "}", 40);
    test_write_file(test_path("i.json"), row->index, strlen(row->index));
    check_text(without_folder(describe(test_path("i.json"))), row->expected);
}

/* The plan of it lives on when whoever opened it has closed it. */
static void test_shared(void **state)
{
    (void)state;
    test_write_safetensors("a.safetensors", "{" MODULE "}", NBYTES);
    onnxq_checkpoint *checkpoint = onnxq_checkpoint_open(test_path("a.safetensors"), NULL);
    assert_non_null(checkpoint);
    const onnxq_checkpoint_info *info = onnxq_checkpoint_get_info(checkpoint);
    assert_string_equal(info->format, "gptq");
    assert_int_equal(info->bits, 4);
    assert_int_equal(info->group_size, 16);
    assert_int_equal(info->n_modules, 1);
    assert_ptr_equal(oq_checkpoint_share(checkpoint), checkpoint);
    onnxq_checkpoint_close(checkpoint);
    assert_string_equal(onnxq_checkpoint_get_info(checkpoint)->format, "gptq");
    onnxq_checkpoint_close(checkpoint);
    onnxq_checkpoint_close(NULL);
}

int main(void)
{
    TEST_ROWS(test_header, rows);
    TEST_ROWS(test_bytes, bytes_rows);
    TEST(test_cut_off);
    TEST_ROWS(test_index, index_rows);
    TEST(test_shared);
    return suite_run();
}
