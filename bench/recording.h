/* A whole recording in memory, as the updates that its replay publishes: for each topic the payloads in their order. */
#ifndef BENCH_RECORDING_H
#define BENCH_RECORDING_H

#include <stdint.h>

#include "bench/verify.h"
#include "core/base/span.h"

#define RECORDING_TOPICS_MAX 256
#define RECORDING_NAME_BYTES 128

struct recorded_topic {
    char     name[RECORDING_NAME_BYTES + 1];
    uint32_t name_size;
    uint64_t base;   /* the seq before its first row; set by who knows it */
    uint64_t rows, rows_room;
    size_t  *starts, *ends; /* of each payload, in bytes */
};

struct recording {
    struct recorded_topic topics[RECORDING_TOPICS_MAX];
    uint32_t count;
    uint64_t rows;
    char    *bytes;  /* payloads, back to back */
    size_t   size, room;
};

/* Reads a file of ticks; topics are called prefix + symbol. 0, or -1 with a sentence in why[320]. */
int  recording_load(struct recording *recording, const char *path, const char *prefix, uint64_t rows_most, char *why);
void recording_free(struct recording *recording);

/* What the verifying reader asks (verify.h). */
struct verify_source recording_source(const struct recording *recording);

#endif
