/*
 * Options as a person gives them. What the library says of its options names
 * fields, as options.conv=skip; on the command line that is --conv skip.
 */
#ifndef OQ_BASE_FLAGS_H
#define OQ_BASE_FLAGS_H

struct oq_flags_text {
    char text[512]; /* as long as a message of an onnxq_error */
};

/* The text with flags in place of fields; what it quotes stays as it is. */
struct oq_flags_text oq_flags_text(const char *text);

#endif
