/* What readers of shards are sent, and what is judged of each ack and each update. */
#include "tests/support/shards.h"

#include <stdio.h>

#include "core/proto/ws_frame.h"

/* ---- what is said of an update --------------------------------------------------------------------------------------- */

void shards_place(struct shards *shards, uint32_t number, const char *epoch, uint64_t seq)
{
    struct shards_update *update = &shards->updates[number];
    if (update->placed && (update->seq != seq || memcmp(update->epoch, epoch, EPOCH_BYTES) != 0))
        fault_say(&shards->fault, "update %u of %s is at seq %llu and at %llu", number, shards->names[update->topic], (unsigned long long)update->seq, (unsigned long long)seq);
    update->placed = true;
    update->seq = seq;
    memcpy(update->epoch, epoch, EPOCH_BYTES);
    uint32_t life = shards_life_of(shards, update->topic, epoch);
    if (!update->key || life == SHARDS_LIVES_MAX) return;
    uint64_t *first_key = &shards->lives[update->topic][life].first_key;
    if (seq < *first_key) *first_key = seq;
}

bool shards_number_of(struct shards *shards, uint32_t topic, struct span data, uint32_t *number)
{
    *number = 0;
    for (size_t i = 1; i < data.size && data.bytes[i] >= '0' && data.bytes[i] <= '9'; i++) *number = *number * 10 + (uint32_t)(data.bytes[i] - '0');
    if (data.size < 2 || data.bytes[0] != '[' || *number >= shards->updates_count) {
        fault_say(&shards->fault, "%s: nobody published %.*s", shards->names[topic], (int)(data.size < 40 ? data.size : 40), data.bytes);
        return false;
    }
    if (shards->updates[*number].topic != topic) fault_say(&shards->fault, "%s: update %u is of %s", shards->names[topic], *number, shards->names[shards->updates[*number].topic]);
    if (shards->updates[*number].refused) fault_say(&shards->fault, "%s: update %u was refused", shards->names[topic], *number);
    return true;
}

/* No reader of a shard is told what is older than what another was told there already. */
static void told(struct shard_sim *shard, uint32_t topic, uint32_t life, uint64_t seq, bool ack)
{
    struct shards *shards = shard->all;
    uint32_t known = shard->told[topic].life;
    if (ack && (life < known || (life == known && seq < shard->told[topic].seq)))
        fault_say(&shards->fault, "%s: shard %u: the ack says %llu of life %u, but %llu of life %u was sent", shards->names[topic], shard->index, (unsigned long long)seq, life,
                  (unsigned long long)shard->told[topic].seq, known);
    if (life < known || (life == known && seq < shard->told[topic].seq)) return;
    shard->told[topic].life = life;
    shard->told[topic].seq = seq;
}

/* ---- acks ------------------------------------------------------------------------------------------------------------ */

static void judge_ack(struct shard_sim *shard, uint32_t topic, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct shards *shards = shard->all;
    struct fault *fault = &shards->fault;
    const char *name = shards->names[topic];
    const struct topic *there = shards_topic_at_home(shards, topic);
    uint64_t newest = there ? log_newest_seq(&there->log) : 0;
    bool of_now = newest > 0 && memcmp(there->epoch, reply->epoch, EPOCH_BYTES) == 0;
    if (shards_home_of(shards, topic) == shard->index) {
        if (reply->born != (newest > 0) || (reply->born && (!of_now || reply->seq != newest)))
            fault_say(fault, "%s: the ack at home says %llu, and the newest is %llu", name, (unsigned long long)reply->seq, (unsigned long long)newest);
    }
    if (!reply->born) return;
    shards_watch_lives(&shards->shards[shards_home_of(shards, topic)]); /* one that began in this turn of its home */
    uint32_t life = shards_life_of(shards, topic, reply->epoch);
    if (life == SHARDS_LIVES_MAX) fault_say(fault, "%s: the ack tells an epoch that its home never had", name);
    else told(shard, topic, life, reply->seq, true);
    if (of_now && reply->seq > newest) fault_say(fault, "%s: the ack says %llu, and the newest is %llu", name, (unsigned long long)reply->seq, (unsigned long long)newest);
    bool resumes = ask->resume && span_equals(ask->resume_epoch, span_of(reply->epoch, EPOCH_BYTES)) && ask->resume_seq <= reply->seq;
    if (!reply->again && reply->resumed != resumes) fault_say(fault, "%s: resumed is %d, for %llu of %llu", name, reply->resumed, (unsigned long long)ask->resume_seq, (unsigned long long)reply->seq);
}

void shards_acked(struct shard_sim *shard, struct shards_reader *reader, uint32_t topic, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct shards *shards = shard->all;
    struct seen *seen = &reader->seen[topic];
    judge_ack(shard, topic, ask, reply);
    bool at_birth = !seen->followed && shards_covering(shards, reader, topic); /* a pattern has it since its birth, of which nothing was sent yet */
    if (reply->again != seen->followed && !(reply->again && at_birth)) fault_say(&shards->fault, "%s: shard %u: followed %d, and the ack says %d", shards->names[topic], shard->index, seen->followed, reply->again);
    seen->followed = true;
    if (reply->again) return;
    *seen = (struct seen){ .followed = true, .known = reply->born };
    if (!reply->born) return;
    memcpy(seen->epoch, reply->epoch, EPOCH_BYTES);
    seen->seq = reply->resumed ? ask->resume_seq : ask->snapshot ? reply->seq - 1 : reply->seq;
    seen->at_key = ask->snapshot && !reply->resumed && topic < shards->plan.topics_keyed;
    shards->seen.resumes += reply->resumed;
}

/* ---- what is sent ---------------------------------------------------------------------------------------------------- */

static bool in_every(const struct shards *shards, const struct shards_reader *reader, uint32_t topic)
{
    const struct seen *seen = &reader->seen[topic];
    if (seen->by_name) return seen->by_name_every;
    const struct shards_pattern *pattern = shards_covering(shards, reader, topic);
    return pattern && pattern->every;
}

static void hear_life(struct shard_sim *shard, struct seen *seen, uint32_t topic, const char *epoch)
{
    struct shards *shards = shard->all;
    uint32_t life = shards_life_of(shards, topic, epoch);
    if (life == SHARDS_LIVES_MAX) fault_say(&shards->fault, "%s: shard %u: an epoch that its home never had", shards->names[topic], shard->index);
    else if (seen->known && life <= shards_life_of(shards, topic, seen->epoch)) fault_say(&shards->fault, "%s: shard %u: a life that is over comes again", shards->names[topic], shard->index);
    seen->followed = seen->known = true; /* by a pattern it may be the first word of it */
    memcpy(seen->epoch, epoch, EPOCH_BYTES);
    seen->seq = 0;
    seen->at_key = false;
    seen->lives++;
    shards->seen.lives++;
}

static void hear_gap(struct shard_sim *shard, struct seen *seen, uint32_t topic, const struct cursor_news *news)
{
    struct shards *shards = shard->all;
    const char *name = shards->names[topic];
    bool fits = news->gap_from == seen->seq + 1 || (seen->at_key && news->gap_from <= seen->seq + 1);
    if (!fits || news->gap_to < news->gap_from) fault_say(&shards->fault, "%s: gap from %llu to %llu after %llu", name, (unsigned long long)news->gap_from, (unsigned long long)news->gap_to, (unsigned long long)seen->seq);
    const struct topic *there = shards_topic_at_home(shards, topic);
    bool of_now = there && log_newest_seq(&there->log) > 0 && memcmp(there->epoch, seen->epoch, EPOCH_BYTES) == 0;
    uint64_t begins = !of_now ? UINT64_MAX : there->log.ends.oldest_key.seq > there->log.ends.tail.seq ? there->log.ends.oldest_key.seq : there->log.ends.tail.seq;
    if (news->gap_to >= begins) fault_say(&shards->fault, "%s: a gap up to %llu, but its window begins at %llu", name, (unsigned long long)news->gap_to, (unsigned long long)begins);
    seen->gaps += news->gap_to - news->gap_from + 1;
    seen->seq = news->gap_to;
    seen->at_key = false;
    shards->seen.gaps++;
}

void shards_asks_anew(struct shards_reader *reader)
{
    for (uint32_t topic = 0; topic < SHARDS_TOPICS_MAX; topic++) reader->seen[topic].asked = true;
}

/* Who keeps up misses nothing: a jump is for one that was behind, or asked anew, or whom the window or a range's bound outran. */
static bool may_jump(const struct shards *shards, const struct shards_reader *reader, uint32_t topic, uint64_t seq)
{
    enum { FRAME_BYTES_AROUND = 80 };
    const struct seen *seen = &reader->seen[topic];
    const struct topic *there = shards_topic_at_home(shards, topic);
    if (reader->subscriber.behind || seen->asked || !there || memcmp(there->epoch, seen->epoch, EPOCH_BYTES) != 0) return true;
    return seen->seq + 1 < there->log.ends.tail.seq || (seq - seen->seq) * (shards->plan.payload_bytes_max + FRAME_BYTES_AROUND) > RANGE_BYTES_MAX;
}

/* `latest` jumps to what may stand alone. */
static void judge_jump(struct shards *shards, uint32_t topic, const struct seen *seen, const struct shards_update *update)
{
    uint32_t life = shards_life_of(shards, topic, seen->epoch);
    shards->seen.jumps++;
    if (life == SHARDS_LIVES_MAX || update->key || update->seq < shards->lives[topic][life].first_key) return;
    fault_say(&shards->fault, "%s: a jump from %llu to %llu, which is no key", shards->names[topic], (unsigned long long)seen->seq, (unsigned long long)update->seq);
}

static void hear_update(struct shard_sim *shard, struct shards_reader *reader, uint32_t topic, const struct update *update)
{
    struct shards *shards = shard->all;
    struct fault *fault = &shards->fault;
    struct seen *seen = &reader->seen[topic];
    uint32_t number;
    if (!shards_number_of(shards, topic, update->data, &number)) return;
    const struct shards_update *published = &shards->updates[number];
    if (!seen->followed) fault_say(fault, "%s: shard %u: an update of what is not followed", shards->names[topic], shard->index);
    if (!seen->known) fault_say(fault, "%s: shard %u: an update before its epoch", shards->names[topic], shard->index);
    if (published->from == shard->index && !published->quiet && !published->replied) fault_say(fault, "%s: update %u comes before its publisher is told", shards->names[topic], number);
    shards_place(shards, number, seen->epoch, update->seq);
    bool next = update->seq == seen->seq + 1, every = in_every(shards, reader, topic);
    if (seen->at_key && update->seq <= seen->seq) judge_jump(shards, topic, seen, published);
    else if (every ? !next : update->seq <= seen->seq)
        fault_say(fault, "%s: shard %u: seq %llu after %llu%s", shards->names[topic], shard->index, (unsigned long long)update->seq, (unsigned long long)seen->seq, every ? " in every" : "");
    else if (!next) {
        if (!may_jump(shards, reader, topic, update->seq)) fault_say(fault, "%s: shard %u: a jump from %llu to %llu, although it kept up", shards->names[topic], shard->index, (unsigned long long)seen->seq, (unsigned long long)update->seq);
        judge_jump(shards, topic, seen, published);
        seen->jumps++;
    }
    if (number < seen->last_of[published->from]) fault_say(fault, "%s: update %u after %u of the same publisher", shards->names[topic], number, seen->last_of[published->from]);
    uint32_t life = shards_life_of(shards, topic, seen->epoch);
    if (life != SHARDS_LIVES_MAX) told(shard, topic, life, update->seq, false);
    seen->seq = update->seq;
    seen->at_key = seen->asked = false;
    seen->last_of[published->from] = number;
    seen->updates++;
    shards->seen.updates++;
}

/* A frame of this topic, whole, as its home wrote it. */
static bool is_frame(struct shards *shards, uint32_t topic, const struct piece *piece, uint64_t at)
{
    char text[40];
    int size = snprintf(text, sizeof text, "{\"topic\":\"%s\",\"seq\":", shards->names[topic]);
    const char *frame = piece->bytes + at;
    uint64_t left = piece->size - at;
    bool whole = left > 4 && (uint8_t)frame[0] == (0x80 | WS_TEXT) && (uint8_t)frame[1] <= 126 && ws_server_frame_bytes(frame) <= left && ws_server_frame_bytes(frame) > (uint64_t)size + 4;
    if (whole) {
        struct span payload = span_skip(span_of(frame, ws_server_frame_bytes(frame)), ws_server_frame_bytes(frame) - 4 < 126 ? 2 : 4);
        whole = memcmp(payload.bytes, text, (size_t)size) == 0 && !span_find(payload, POISON_BYTE);
    }
    if (!whole) fault_say(&shards->fault, "%s: bytes that are none of its updates%s", shards->names[topic], (uint8_t)frame[0] == POISON_BYTE ? ": poisoned" : "");
    return whole;
}

/* Hears updates up to a limit, in bytes of whole frames; returns how many bytes those were. */
static uint64_t hear_range(struct shard_sim *shard, struct shards_reader *reader, uint32_t topic, const struct piece *pieces, uint32_t count, uint32_t updates_max)
{
    struct shards *shards = shard->all;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t at = 0; at < pieces[i].size && updates_max > 0; updates_max--) {
            if (!is_frame(shards, topic, &pieces[i], at)) return bytes;
            struct update update = format_json_read(pieces[i].bytes + at, shards_name(shards, topic));
            hear_update(shard, reader, topic, &update);
            uint64_t frame_bytes = ws_server_frame_bytes(pieces[i].bytes + at);
            at += frame_bytes;
            bytes += frame_bytes;
        }
    return bytes;
}

/* False: its socket is full now. */
static bool send_one(struct shard_sim *shard, struct shards_reader *reader, uint32_t index)
{
    struct engine *engine = &shard->engine;
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    uint32_t topic = shards_topic_named(shard->all, local_topic_name(local));
    struct cursor_news news;
    bool pending = cursor_advance(local, subscription, reader->subscriber.behind, &shard->counters, &news);
    if (news.new_life) hear_life(shard, &reader->seen[topic], topic, local->epoch);
    if (news.gap_to != 0) hear_gap(shard, &reader->seen[topic], topic, &news);
    if (!pending) {
        engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return true;
    }
    if (reader->slow && random_below(&shard->all->random, 4) == 0) { /* its socket took the news alone */
        engine_unsent(engine, index);
        return false;
    }
    struct range range;
    cursor_cut(local, subscription, &range);
    struct piece pieces[8];
    uint32_t count = range_pieces(local, &range, pieces, 8);
    uint32_t takes = reader->slow ? 1 + random_below(&shard->all->random, 4) : UINT32_MAX;
    uint64_t bytes = hear_range(shard, reader, topic, pieces, count, takes), into;
    struct mark to = bytes == range.bytes ? range.to : range_sent(local, &range, bytes, &into);
    shard->all->seen.cut_short += bytes < range.bytes;
    engine_sent(engine, index, to);
    return bytes == range.bytes;
}

void shards_flush(struct shard_sim *shard)
{
    struct shards *shards = shard->all;
    shards_check_loans(shard);
    for (uint32_t index = bitset_next(&shard->ready, 0); index != BITSET_NONE; index = bitset_next(&shard->ready, index + 1)) {
        struct shards_reader *reader = pool_at(&shard->readers, index);
        bool full = reader->stuck;
        uint32_t subscription;
        bitset_remove(&shard->ready, index);
        while (!full && !fault_found(&shards->fault) && (subscription = engine_take_dirty(&shard->engine, &reader->subscriber)) != POOL_NONE) full = !send_one(shard, reader, subscription);
        reader->subscriber.behind = full;
        if (full) bitset_add(&shard->ready, index);
    }
}
