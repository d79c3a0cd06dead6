/* large_model MB OUT: a model whose weights have that many megabytes, for runs that take a while.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/text.h"

int main(int argc, char **argv)
{
    long mb = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    if (mb < 1 || mb > 1000) {
        fputs("usage: large_model MB OUT.onnx\n", stderr);
        return 2;
    }
    size_t capacity = 256 + (size_t)mb * 100, used = 0;
    char *text = malloc(capacity);
    if (text == NULL)
        return 1;
    used += (size_t)snprintf(text, capacity, "ir 8; opset 17\nin x0 float32[N,512]\n");
    for (long i = 0; i < mb; i++)
        used += (size_t)snprintf(text + used, capacity - used,
                                 "init w%ld float32[512,512]\nx%ld = MatMul(x%ld, w%ld)\n", i,
                                 i + 1, i, i);
    snprintf(text + used, capacity - used, "out x%ld float32[N,512]\n", mb);
    struct builder builder;
    text_parse(&builder, text);
    free(text);
    bool ok = builder_write(&builder, argv[2]);
    if (!ok)
        fprintf(stderr, "large_model: %s: %s\n", argv[2], strerror(errno));
    builder_fini(&builder);
    return ok ? 0 : 1;
}
