/* What the writer and the reader of a file of ranges have to agree on; docs/ranges.md. */
#ifndef OQ_RANGES_RANGES_FORMAT_H
#define OQ_RANGES_RANGES_FORMAT_H

/* The first member of the file, and its value: the version of the format. */
#define OQ_RANGES_MARK    "onnxq_ranges"
#define OQ_RANGES_VERSION 1

/* Counts are whole numbers that any reader of JSON keeps exact. */
#define OQ_RANGES_MAX_COUNT (UINT64_C(1) << 53)

#endif
