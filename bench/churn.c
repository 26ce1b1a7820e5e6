/* See churn.h. */
#include "bench/churn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/machine.h"
#include "core/base/random.h"

#define SEED          UINT64_C(0x6368757263687572)
#define CUT_BITS_MAX  22 /* after at most 4 MiB: as often after a few bytes as after very many */

static void live(struct churn *self, uint32_t index, int64_t at_ns)
{
    uint64_t bits = random_next(&self->random) % CUT_BITS_MAX;
    self->subscribers->all[index].cut_at =
        self->subscribers->all[index].received + 1 + random_next(&self->random) % (2ull << bits);
    self->cut_ns[index - self->first] = at_ns + (int64_t)((double)(random_next(&self->random) >> 11) * 0x1p-53 * self->every_s * 1e9);
}

int churn_init(struct churn *self, uint32_t first, uint32_t count, double every_s, struct subscribers *subscribers, struct verify *verify)
{
    *self = (struct churn){ .first = first, .count = count, .every_s = every_s, .subscribers = subscribers, .verify = verify,
                            .random = SEED };
    self->request_room = 128 + verify->each * (2 * VERIFY_NAME_BYTES + 64);
    self->request = malloc(self->request_room);
    self->cut_ns = calloc(count ? count : 1, sizeof *self->cut_ns);
    if (!self->request || !self->cut_ns) return -ENOMEM;
    int64_t at_ns = now_ns();
    for (uint32_t i = 0; i < count; i++) live(self, first + i, at_ns);
    return 0;
}

void churn_deinit(struct churn *self)
{
    free(self->request);
    free(self->cut_ns);
}

static void cut(struct churn *self, uint32_t index)
{
    const struct subscriber *one = &self->subscribers->all[index];
    self->cuts++;
    self->cuts_in_frame += one->state == SUBSCRIBER_OPEN && one->carry_size > 0;
    verify_cut(self->verify, index);
    /* Resets mostly: ends of the stream that we begin would leave a port waiting for a minute each. */
    subscribers_cut(self->subscribers, index, random_next(&self->random) % 4 != 0);
}

void churn_on_cut_due(struct churn *self, uint32_t index)
{
    cut(self, index);
}

static size_t write_resume(struct churn *self, uint32_t index)
{
    const struct verify *verify = self->verify;
    char *out = self->request;
    size_t room = self->request_room;
    size_t size = (size_t)snprintf(out, room, "{\"op\":\"subscribe\",\"id\":1,\"mode\":\"%s\",\"snapshot\":false,\"topics\":[",
                                   verify->latest ? "latest" : "every");
    char name[VERIFY_NAME_BYTES];
    for (uint32_t place = 0; place < verify->each; place++) {
        verify->source.write_name(verify->source.self, verify_topic(verify, index, place), name);
        size += (size_t)snprintf(out + size, room - size, "%s\"%s\"", place ? "," : "", name);
    }
    size += (size_t)snprintf(out + size, room - size, "],\"resume\":{");
    for (uint32_t place = 0; place < verify->each; place++) {
        size_t at = (size_t)index * verify->each + place;
        verify->source.write_name(verify->source.self, verify_topic(verify, index, place), name);
        size += (size_t)snprintf(out + size, room - size, "%s\"%s\":{\"epoch\":\"%.*s\",\"seq\":%llu}", place ? "," : "", name,
                                 VERIFY_EPOCH_BYTES, verify->epochs[at], (unsigned long long)verify->last[at]);
    }
    return size + (size_t)snprintf(out + size, room - size, "}}");
}

void churn_on_text(struct churn *self, uint32_t index, struct span text)
{
    static const char hello[] = "{\"op\":\"hello\"";
    if (index - self->first >= self->count || !self->verify->resumes[index] || self->verify->acked[index]) return;
    if (text.size < sizeof hello - 1 || memcmp(text.bytes, hello, sizeof hello - 1) != 0) return;
    subscribers_send_text(self->subscribers, index, span_of(self->request, write_resume(self, index)));
}

void churn_turn(struct churn *self, int64_t at_ns)
{
    uint32_t under_way = 0;
    for (uint32_t i = self->first; i < self->first + self->count; i++) {
        const struct subscriber *one = &self->subscribers->all[i];
        if (one->state == SUBSCRIBER_ENDED) continue;
        if (!self->resting && one->state != SUBSCRIBER_NONE && at_ns >= self->cut_ns[i - self->first]) cut(self, i);
        under_way += one->state == SUBSCRIBER_CONNECTING || one->state == SUBSCRIBER_SHAKING;
        if (one->state != SUBSCRIBER_NONE || under_way >= CHURN_AT_ONCE) continue;
        live(self, i, at_ns);
        if (self->resting) self->subscribers->all[i].cut_at = 0;
        subscribers_begin_again(self->subscribers, i);
        under_way++;
    }
}

void churn_cut_all(struct churn *self)
{
    for (uint32_t i = self->first; i < self->first + self->count; i++)
        if (self->subscribers->all[i].state == SUBSCRIBER_OPEN) cut(self, i);
}

void churn_rest(struct churn *self)
{
    self->resting = true;
    for (uint32_t i = self->first; i < self->first + self->count; i++) self->subscribers->all[i].cut_at = 0;
}
