/* Endings of names. */
#include "cli/parse/file_kind.h"

#include <string.h>

#include "base/nearest.h"
#include "base/path.h"

bool cli_has_ending(const char *path, const char *ending)
{
    const char *base = oq_base_name(path);
    size_t n = strlen(base), n_ending = strlen(ending);
    return n > n_ending && oq_is_same_word(ending, n_ending, base + n - n_ending);
}

static bool has_one_of(const char *path, const char *const *endings)
{
    while (*endings != NULL && !cli_has_ending(path, *endings))
        endings++;
    return *endings != NULL;
}

cli_file_kind cli_kind_of_name(const char *path)
{
    static const char *const models[] = {".onnx", ".onnx_data", ".onnx.data", ".ort", NULL};
    static const char *const others[] = {
        ".json", ".jsonl", ".txt", ".md",          ".csv",  ".html", ".htm", ".xml",  ".yaml",
        ".yml",  ".toml",  ".log", ".npz",         ".npy",  ".png",  ".jpg", ".jpeg", ".svg",
        ".pdf",  ".ppm",   ".py",  ".sh",          ".c",    ".h",    ".zip", ".gz",   ".tar",
        ".tgz",  ".pt",    ".pth", ".safetensors", ".gguf", NULL};
    return has_one_of(path, models)   ? CLI_MODEL_FILE
           : has_one_of(path, others) ? CLI_OTHER_FILE
                                      : CLI_ANY_FILE;
}
