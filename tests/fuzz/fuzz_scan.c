/*
 * Any bytes through the first two steps alone, which is fast: the scan of the
 * wire format, and what protobuf-c makes of the skeleton. A scan that succeeds
 * keeps its promises: protobuf-c unpacks the skeleton or refuses it, and every
 * fragment lies in the file.
 */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/support.h"
#include "wire/message.h"

/* More than the structure of any input that a fuzzer makes. */
#define BUDGET ((size_t)64 << 20)

static void check_fragments(const struct oq_skeleton *skeleton, size_t nbytes)
{
    for (size_t i = 0; i < skeleton->nfragments; i++) {
        const struct oq_fragment *fragment = &skeleton->fragments[i];
        CHECK(fragment->offset <= nbytes && fragment->nbytes <= nbytes - fragment->offset);
    }
}

static void check_skeleton(const struct oq_skeleton *skeleton)
{
    struct oq_arena arena;
    onnxq_error error = {0};
    oq_arena_init(&arena, BUDGET);
    const ProtobufCMessage *message =
        oq_message_unpack(&oq__pb__model_proto__descriptor, skeleton, &arena, &error);
    /* protobuf-c does not merge all that comes twice. */
    CHECK(message != NULL || error.status == ONNXQ_ERROR_MEMORY ||
          error.status == ONNXQ_ERROR_INPUT);
    oq_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_skeleton skeleton;
    onnxq_error error = {0};
    char path[] = "memory";
    struct oq_file file = {.path = path, .fd = memfd_create("fuzz", 0), .nbytes = nbytes};
    CHECK(file.fd >= 0 && write(file.fd, data, nbytes) == (ssize_t)nbytes);
    bool ok = oq_scan(&file, &oq__pb__model_proto__descriptor, BUDGET, &skeleton, &error);
    if (ok) {
        check_fragments(&skeleton, nbytes);
        check_skeleton(&skeleton);
    } else {
        fuzz_check_error(&error);
    }
    oq_skeleton_fini(&skeleton);
    close(file.fd);
    return 0;
}
