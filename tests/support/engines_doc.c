/* Writes docs/engines.md: what needs which version of ONNX Runtime, as operators/engines.h has it.
 */
#include <stdio.h>
#include <string.h>

#include "model/needs.h"

static const char head[] =
    "# What needs which ONNX Runtime\n"
    "\n"
    "Written from `src/operators/engines.h` by `cmake --build DIR --target engines_doc`; a test "
    "asserts that it is\n"
    "current. `onnxq inspect` says of a model what in it needs which version, `--target-ort 1.N` "
    "keeps to what 1.N\n"
    "runs, and `tests/engines` holds every line of it: a model with that loads in the version "
    "named, and not in the\n"
    "one before. [compatibility.md](compatibility.md) has why, and what other tools make of it.\n";

static const char methods[] =
    "\n"
    "## Options of quantize\n"
    "\n"
    "Where several lines fit, the largest number counts; all other options need 1.%d, the oldest "
    "version that was\n"
    "tried. The model has needs of its own, below.\n"
    "\n"
    "| options | ONNX Runtime from |\n"
    "|---|---|\n";

static const char forms[] =
    "\n"
    "## Models\n"
    "\n"
    "What is in no line is in 1.%d, or nothing is known of it. 1.%d is the newest version that was "
    "tried: after it\n"
    "means that this one does not load it either.\n"
    "\n"
    "| what | ONNX Runtime |\n"
    "|---|---|\n";

static const char *const bits_flags[] = {[0] = " --bits 8", [1] = " --bits 4"};

static void put_method(const char *name, int bits, int blocks, int minor)
{
    printf("| `--method %c", name[0] + ('a' - 'A'));
    for (size_t i = 1; name[i] != '\0'; i++)
        putchar(name[i] + ('a' - 'A'));
    printf("%s%s` | 1.%d |\n", bits < 0 ? "" : bits_flags[bits],
           blocks < 0 ? "" : " --block-size N", minor);
}

static void put_version(int minor)
{
    if (minor > OQ_NEWEST_ENGINE)
        printf(" | after 1.%d |\n", OQ_NEWEST_ENGINE);
    else
        printf(" | from 1.%d |\n", minor);
}

static void put_line(const char *before, long long version, const char *after, int minor)
{
    printf("| %s%lld%s", before, version, after);
    put_version(minor);
}

static void put_text(const char *text, const char *domain, const char *words, int minor)
{
    printf("| %s%s%s", text, words, domain);
    put_version(minor);
}

int main(void)
{
    enum { ANY = -1, EIGHT = 0, FOUR = 1, IN_BLOCKS = 1 };
    printf("%s", head);
    printf(methods, OQ_OLDEST_ENGINE);
#define METHOD(method, bits, blocks, minor, what, instead) put_method(#method, bits, blocks, minor);
#include "operators/engines.h"
    printf(forms, OQ_OLDEST_ENGINE, OQ_NEWEST_ENGINE);
#define ONNX                                            ""
#define ML                                              " of ai.onnx.ml"
#define MS                                              " (com.microsoft)"
#define OPSET(domain, version, minor)                   put_line("opset ", version, domain, minor);
#define IR(version, minor)                              put_line("IR version ", version, "", minor);
#define TENSOR(type, minor)                             put_text("tensors of ", "", #type, minor);
#define FORM(domain, name, detail, value, minor, words) put_text(#name, domain, words, minor);
#include "operators/engines.h"
    return ferror(stdout) != 0;
}
