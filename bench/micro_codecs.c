/* Steps of micro.h that are pure: what is done with each byte that comes in, and with each update that goes into a log. */
#include <stdlib.h>
#include <string.h>

#include "bench/micro.h"
#include "core/proto/json.h"
#include "core/proto/mask.h"
#include "core/proto/utf8.h"
#include "core/proto/ws_frame.h"
#include "core/pubsub/format.h"

#define SMALL 100
#define LARGE 16384

/* {"p":189.32,"text":"xxx"}, or with a character of two bytes in each place of x. */
struct codec {
    char   text[LARGE + 16];
    char   request[LARGE + 128];
    size_t request_size;
    char   frame[LARGE + 256];
};

static void *begin_with(uint32_t bytes, const char *filling)
{
    static const char head[] = "{\"p\":189.32,\"text\":\"", before[] = "{\"op\":\"publish\",\"id\":7,\"topic\":\"crypto.BTC\",\"data\":";
    struct codec *self = malloc(sizeof *self);
    if (!self) return NULL;
    size_t at = sizeof head - 1, size = strlen(filling);
    memcpy(self->text, head, at);
    while (at + size + 2 <= bytes) memcpy(self->text + at, filling, size), at += size;
    while (at + 2 < bytes) self->text[at++] = 'x';
    memcpy(self->text + at, "\"}", 2);
    memcpy(self->request, before, sizeof before - 1);
    memcpy(self->request + sizeof before - 1, self->text, bytes);
    self->request_size = sizeof before - 1 + bytes;
    self->request[self->request_size++] = '}';
    return self;
}

static void *begin_small(void) { return begin_with(SMALL, "x"); }
static void *begin_large(void) { return begin_with(LARGE, "x"); }
static void *begin_accents(void) { return begin_with(LARGE, "\xc3\xa9"); }

static uint64_t mask(struct codec *self, uint64_t count, size_t size)
{
    static const uint8_t key[4] = { 0x5a, 0xc3, 0x3c, 0xa5 };
    for (uint64_t i = 0; i < count; i++) mask_apply(self->text, size, key, i);
    return (uint8_t)self->text[3];
}

static uint64_t mask_small(void *self, uint64_t count) { return mask(self, count, SMALL); }
static uint64_t mask_large(void *self, uint64_t count) { return mask(self, count, LARGE); }

static uint64_t utf8(const struct codec *self, uint64_t count, size_t size)
{
    uint64_t valid = 0;
    for (uint64_t i = 0; i < count; i++) valid += utf8_valid(span_of(self->text, size));
    return valid;
}

static uint64_t utf8_small(void *self, uint64_t count) { return utf8(self, count, SMALL); }
static uint64_t utf8_large(void *self, uint64_t count) { return utf8(self, count, LARGE); }

static uint64_t json(const struct codec *self, uint64_t count, size_t size)
{
    uint64_t valid = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct json_value value;
        valid += json_validate(span_of(self->text, size), 64, &value) == JSON_OK;
    }
    return valid;
}

static uint64_t json_small(void *self, uint64_t count) { return json(self, count, SMALL); }
static uint64_t json_large(void *self, uint64_t count) { return json(self, count, LARGE); }

/* A publish request taken apart, its payload validated: what each update costs at the door. */
static uint64_t json_request(void *context, uint64_t count)
{
    const struct codec *self = context;
    uint64_t members = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct json_reader reader;
        struct json_value key, value;
        if (!json_object_begin(&reader, span_of(self->request, self->request_size), 70)) return 0;
        while (json_object_next(&reader, &key, &value)) members++;
    }
    return members;
}

static uint64_t header(void *context, uint64_t count)
{
    struct codec *self = context;
    static const uint8_t key[4] = { 1, 2, 3, 4 };
    uint64_t bytes = 0;
    ws_client_header_write(self->frame, WS_TEXT, SMALL, key);
    for (uint64_t i = 0; i < count; i++) {
        struct ws_header read;
        const char *why;
        if (ws_frame_decode(span_of(self->frame, sizeof self->frame), true, false, &read, &why) == DECODE_DONE) bytes += read.payload_bytes;
    }
    return bytes;
}

static uint64_t encode(struct codec *self, uint64_t count, enum wire_format wire)
{
    uint64_t bytes = 0;
    struct update update = { .topic = SPAN_LITERAL("crypto.BTC"), .ts_us = UINT64_C(1763812345678901), .data = span_of(self->text, SMALL) };
    for (uint64_t i = 0; i < count; i++) {
        update.seq = 1000000 + i;
        bytes += formats[wire].frame_bytes(&update);
        formats[wire].encode(&update, self->frame);
    }
    return bytes + (uint8_t)self->frame[40];
}

static uint64_t encode_json(void *self, uint64_t count) { return encode(self, count, FORMAT_JSON); }
static uint64_t encode_array(void *self, uint64_t count) { return encode(self, count, FORMAT_ARRAY); }

const struct micro_step micro_codec_steps[] = {
    { "mask", "unmask 100 bytes", SMALL, begin_small, mask_small, free },
    { "mask_16k", "unmask 16 KiB", LARGE, begin_large, mask_large, free },
    { "utf8", "UTF-8 of 100 bytes, ASCII", SMALL, begin_small, utf8_small, free },
    { "utf8_16k", "UTF-8 of 16 KiB, ASCII", LARGE, begin_large, utf8_large, free },
    { "utf8_accents", "UTF-8 of 16 KiB, two bytes a character", LARGE, begin_accents, utf8_large, free },
    { "json", "JSON of 100 bytes validated", SMALL, begin_small, json_small, free },
    { "json_16k", "JSON of 16 KiB validated", LARGE, begin_large, json_large, free },
    { "request", "a publish of 100 bytes taken apart", SMALL, begin_small, json_request, free },
    { "header", "a frame's header decoded", 0, begin_small, header, free },
    { "encode", "an update of 100 bytes encoded, json", SMALL, begin_small, encode_json, free },
    { "encode_array", "an update of 100 bytes encoded, array", SMALL, begin_small, encode_array, free },
    { 0 },
};
