/* Tells other formats by their first bytes. */
#include "model/sniff.h"

#include <string.h>

#include "base/utf8.h"

#define HEAD_NBYTES 512

struct signature {
    size_t offset;
    size_t nbytes;
    const char *bytes;
    const char *name;
    const char *hint;
};

#define SIGNATURE(offset, bytes, name, hint)                                                       \
    {                                                                                              \
        offset, sizeof(bytes) - 1, bytes, name, hint                                               \
    }

/* First match wins. */
static const struct signature signatures[] = {
    SIGNATURE(0, "GGUF", "a GGUF model", "convert the original model to ONNX"),
    SIGNATURE(0, "PK\003\004", "a zip archive",
              "unpack it; a PyTorch .pt file must be exported with torch.onnx.export"),
    SIGNATURE(0, "\037\213", "a gzip archive", "unpack it first"),
    SIGNATURE(0, "\050\265\057\375", "a zstd archive", "unpack it first"),
    SIGNATURE(0, "\211HDF\r\n\032\n", "an HDF5 file (Keras)", "convert it with tf2onnx"),
    SIGNATURE(4, "TFL3", "a TensorFlow Lite model", "convert it with tf2onnx"),
    SIGNATURE(4, "ORTM", "an ORT format model", "use the .onnx file that it was made from"),
    SIGNATURE(0, "version https://git-lfs", "a Git LFS pointer, not the model itself",
              "fetch the file with: git lfs pull"),
    SIGNATURE(8, "{\"", "a safetensors file", "export the model to ONNX first"),
    SIGNATURE(0, "\200\002", "a Python pickle", "export the model to ONNX first"),
    SIGNATURE(0, "\177ELF", "a program", NULL),
    SIGNATURE(0, "\223NUMPY", "a NumPy array", NULL),
};

static bool is_text(const char *head, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t code_point;
        size_t length = oq_utf8_decode(head + i, n - i, &code_point);
        if (length == 0)
            return n - i < 4 && i > 0; /* a character that the end of the window cuts */
        if (code_point < 0x20 && memchr("\t\n\r\f", (int)code_point, 4) == NULL)
            return false;
        i += length;
    }
    return n > 0;
}

static bool is_html(const char *head)
{
    static const char *const starts[] = {"<!DOCTYPE", "<!doctype", "<html", "<HTML"};
    head += strspn(head, " \t\r\n");
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (strncmp(head, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

const char *oq_sniff(const struct oq_file *file, const char **hint)
{
    char head[HEAD_NBYTES + 1] = {0};
    size_t n = file->nbytes < HEAD_NBYTES ? (size_t)file->nbytes : HEAD_NBYTES;
    onnxq_error ignored;
    oq_error_init(&ignored);
    *hint = NULL;
    if (n == 0)
        return "an empty file";
    if (!oq_file_read(file, 0, head, n, &ignored))
        return NULL;
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        const struct signature *s = &signatures[i];
        if (s->offset + s->nbytes <= n && memcmp(head + s->offset, s->bytes, s->nbytes) == 0) {
            *hint = s->hint;
            return s->name;
        }
    }
    if (is_html(head)) {
        *hint = "the download probably needs a login or another address";
        return "an HTML page";
    }
    return is_text(head, n) ? "a text file" : NULL;
}
