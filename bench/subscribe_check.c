/* See subscribe_check.h. Messages are compared with what the protocol writes, byte for byte: that is the strictest check
 * and the cheapest. */
#include "bench/subscribe_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLD_ACK 1u
#define TOLD(round) (2u << (round))

int subscribe_check_init(struct subscribe_check *self, const struct spread *spread, uint32_t each_request)
{
    *self = (struct subscribe_check){ .spread = spread, .each_request = each_request };
    self->topics = calloc(spread->topics, sizeof *self->topics);
    self->told = calloc((size_t)spread->connections * spread->each, 1);
    self->requests = calloc(spread->connections, sizeof *self->requests);
    return self->topics && self->told && self->requests ? 0 : -ENOMEM;
}

void subscribe_check_deinit(struct subscribe_check *self)
{
    free(self->topics);
    free(self->told);
    free(self->requests);
}

__attribute__((format(printf, 2, 3))) static void wrong(struct subscribe_check *self, const char *format, ...)
{
    if (self->wrong++) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->first, sizeof self->first, format, arguments);
    va_end(arguments);
}

static int shown(struct span text) { return text.size < 160 ? (int)text.size : 160; }

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Moves behind `text` where it stands there. */
static bool take(struct span *rest, struct span text)
{
    if (rest->size < text.size || memcmp(rest->bytes, text.bytes, text.size) != 0) return false;
    *rest = span_skip(*rest, text.size);
    return true;
}

static bool take_number(struct span *rest, uint64_t *number)
{
    size_t digits = 0;
    for (*number = 0; digits < rest->size && digits < 19 && (uint8_t)(rest->bytes[digits] - '0') <= 9; digits++)
        *number = *number * 10 + (uint64_t)(rest->bytes[digits] - '0');
    *rest = span_skip(*rest, digits);
    return digits > 0;
}

/* A topic's name up to the closing quote, which is passed. */
static bool take_topic(const struct subscribe_check *self, struct span *rest, uint32_t *topic)
{
    const char *quote = span_find(*rest, '"');
    if (!quote) return false;
    struct span name = span_of(rest->bytes, (size_t)(quote - rest->bytes));
    *rest = span_skip(*rest, name.size + 1);
    return (*topic = spread_find(self->spread, name)) != SPREAD_NONE;
}

/* {"topic":"…","epoch":"…","seq":…} from behind its first quote. */
static bool take_place_in_log(const struct subscribe_check *self, struct span *rest, uint32_t *topic, struct span *epoch,
                              uint64_t *seq)
{
    if (!take(rest, SPAN_LITERAL("topic\":\"")) || !take_topic(self, rest, topic)) return false;
    if (!take(rest, SPAN_LITERAL(",\"epoch\":\"")) || rest->size < CHECK_EPOCH_BYTES) return false;
    *epoch = span_of(rest->bytes, CHECK_EPOCH_BYTES);
    *rest = span_skip(*rest, CHECK_EPOCH_BYTES);
    return take(rest, SPAN_LITERAL("\",\"seq\":")) && take_number(rest, seq) && take(rest, SPAN_LITERAL("}"));
}

/* ---- the publisher's --------------------------------------------------------------------------------------------- */

uint32_t subscribe_check_data(uint32_t topic, uint32_t round, char out[CHECK_DATA_BYTES_MAX])
{
    return (uint32_t)snprintf(out, CHECK_DATA_BYTES_MAX, "{\"number\":%u,\"round\":%u}", topic, round);
}

bool subscribe_check_published(struct subscribe_check *self, uint32_t round, struct span text)
{
    struct span rest = text, epoch;
    uint64_t id, seq;
    uint32_t topic;
    bool read = take(&rest, SPAN_LITERAL("{\"op\":\"published\",\"id\":")) && take_number(&rest, &id)
                && take(&rest, SPAN_LITERAL(",\"")) && take_place_in_log(self, &rest, &topic, &epoch, &seq) && rest.size == 0;
    if (!read || id != topic) {
        bool quiet = take(&text, SPAN_LITERAL("{\"op\":\"hello\"")) || take(&text, SPAN_LITERAL("{\"op\":\"heartbeat\""));
        if (!quiet) wrong(self, "the publisher was told: %.*s", shown(text), text.bytes);
        return false;
    }
    struct checked_topic *one = &self->topics[topic];
    if (round > 0 && (memcmp(one->epoch, epoch.bytes, CHECK_EPOCH_BYTES) != 0 || seq != one->seqs[round - 1] + 1)) {
        wrong(self, "somebody else publishes there: %.*s", shown(text), text.bytes);
        return false;
    }
    memcpy(one->epoch, epoch.bytes, CHECK_EPOCH_BYTES);
    one->seqs[round] = seq;
    return true;
}

/* ---- the subscribers' -------------------------------------------------------------------------------------------- */

static uint8_t *told_of(struct subscribe_check *self, uint32_t connection, uint32_t topic)
{
    uint32_t place = spread_place(self->spread, connection, topic);
    return place == SPREAD_NONE ? NULL : &self->told[(size_t)connection * self->spread->each + place];
}

/* From behind "topics":[ */
static void on_ack(struct subscribe_check *self, uint32_t connection, struct span rest)
{
    uint32_t named = 0, due = self->spread->each - self->requests[connection] * self->each_request;
    if (due > self->each_request) due = self->each_request;
    do {
        struct span epoch;
        uint32_t topic;
        uint64_t seq;
        if (!take(&rest, SPAN_LITERAL("{\"")) || !take_place_in_log(self, &rest, &topic, &epoch, &seq))
            return wrong(self, "connection %u: an ack goes on with %.*s", connection, shown(rest), rest.bytes);
        uint8_t *told = told_of(self, connection, topic);
        const struct checked_topic *one = &self->topics[topic];
        if (!told || *told)
            return wrong(self, "connection %u: topic %u is acknowledged twice, late, or unasked", connection, topic);
        if (memcmp(one->epoch, epoch.bytes, CHECK_EPOCH_BYTES) != 0 || seq != one->seqs[0])
            return wrong(self, "connection %u: topic %u is acknowledged with another epoch or seq than was published",
                         connection, topic);
        *told = TOLD_ACK;
        named++;
    } while (take(&rest, SPAN_LITERAL(",")));
    if (!span_is(rest, "]}") || named != due)
        return wrong(self, "connection %u: an ack names %u of %u topics", connection, named, due);
    self->requests[connection]++;
    self->acked += named;
}

/* From behind {"topic":" */
static void on_update(struct subscribe_check *self, uint32_t connection, struct span rest, struct span text)
{
    char data[CHECK_DATA_BYTES_MAX];
    uint32_t topic;
    uint64_t seq, ts;
    if (!take_topic(self, &rest, &topic) || !take(&rest, SPAN_LITERAL(",\"seq\":")) || !take_number(&rest, &seq))
        return wrong(self, "connection %u: not as published: %.*s", connection, shown(text), text.bytes);
    uint8_t *told = told_of(self, connection, topic);
    const struct checked_topic *one = &self->topics[topic];
    /* The newest of them may come before the publisher hears its seq. */
    uint32_t round = seq == one->seqs[0] ? 0 : 1;
    if (!told || !(*told & TOLD_ACK) || (round == 1 && seq != one->seqs[0] + 1) || *told >= TOLD(round))
        return wrong(self, "connection %u: double, out of order or unasked: %.*s", connection, shown(text), text.bytes);
    struct span wanted = span_of(data, subscribe_check_data(topic, round, data));
    if (!take(&rest, SPAN_LITERAL(",\"ts\":")) || !take_number(&rest, &ts) || !take(&rest, SPAN_LITERAL(",\"data\":"))
        || !take(&rest, wanted) || !span_is(rest, "}"))
        return wrong(self, "connection %u: not as published: %.*s", connection, shown(text), text.bytes);
    *told |= (uint8_t)TOLD(round);
    self->updates[round]++;
}

void subscribe_check_text(struct subscribe_check *self, uint32_t connection, struct span text)
{
    struct span rest = text;
    uint64_t id;
    if (take(&rest, SPAN_LITERAL("{\"topic\":\""))) return on_update(self, connection, rest, text);
    if (take(&rest, SPAN_LITERAL("{\"op\":\"subscribed\",\"id\":")) && take_number(&rest, &id)
        && id == self->requests[connection] && take(&rest, SPAN_LITERAL(",\"topics\":[")))
        return on_ack(self, connection, rest);
    rest = text;
    if (take(&rest, SPAN_LITERAL("{\"op\":\"hello\"")) || take(&rest, SPAN_LITERAL("{\"op\":\"heartbeat\""))) return;
    wrong(self, "connection %u: %.*s", connection, shown(text), text.bytes);
}
