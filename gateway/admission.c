#include "gateway/admission.h"

#include <errno.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/siphash.h"
#include "core/proto/http.h"
#include "gateway/conn.h"
#include "gateway/limits.h"
#include "gateway/shard_settings.h"

struct counted {
    struct address address; /* cut to the prefix */
    uint32_t       hash;
    uint32_t       connections;
};

int admission_init(struct shard *shard, uint32_t connections_max)
{
    struct admission *admission = &shard->admission;
    int error = pool_init(&admission->addresses, sizeof(struct counted), connections_max);
    if (error) return error;
    error = table_init(&admission->by_address);
    if (error) {
        pool_deinit(&admission->addresses);
        return error;
    }
    random_fill(admission->hash_key, sizeof admission->hash_key);
    admission_adopt(shard);
    return 0;
}

void admission_deinit(struct shard *shard)
{
    table_deinit(&shard->admission.by_address);
    pool_deinit(&shard->admission.addresses);
}

void admission_adopt(struct shard *shard)
{
    struct span fault;
    shard->admission.trusted_count = networks_read(span_of_string(shard->settings->proxies_trusted), shard->admission.trusted, NETWORKS_MAX, &fault);
    CHECK(shard->admission.trusted_count >= 0); /* the settings were judged */
}

/* ---- accepting --------------------------------------------------------------------------------------------------------- */

enum { BURST_US = 1000000, RESUME_US = 10000 }; /* so many at once at most; a pause is worth while */

static uint64_t accepts_per_second(const struct shard *shard)
{
    return shard_part_of(shard->settings, shard->settings->limits_accepts_per_second);
}

int64_t admission_wait_ms(const struct shard *shard)
{
    const struct admission *admission = &shard->admission;
    return admission->paused ? (int64_t)(rate_wait_us(&admission->accepts, shard->clock.mono_us, BURST_US - RESUME_US) / 1000 + 1) : -1;
}

/* An accept that finds no slot takes a connection from the backlog and drops it. So where few are left each is to take one connection,
 * and there are no more of them than slots. */
static bool few_slots_left(struct shard *shard)
{
    enum { FEW = 64 };
    struct admission *admission = &shard->admission;
    /* As many again must be free before it is over, or each wave of connections would lose one. */
    admission->few = shard->conns.used + (admission->few ? 2 * FEW : FEW) >= shard_files_now(shard);
    return admission->few;
}

static bool slot_is_sure(const struct shard *shard)
{
    return shard->conns.used + (uint32_t)__builtin_popcount(shard->admission.accepting) < shard_files_now(shard);
}

/* `first`: its slot, or the first of them. */
static void arm_at(struct shard *shard, int listener, uint32_t first, bool few)
{
    struct admission *admission = &shard->admission;
    uint32_t last = shard->ring.tells_peers ? first : first + ACCEPTS_AT_ONCE - 1;
    for (uint32_t i = first; i <= last; i++) {
        if (admission->accepting & 1u << i) continue;
        if (few && !slot_is_sure(shard)) return;
        bool many = shard->ring.tells_peers && !few;
        if (many) ring_accept(&shard->ring, listener, token_make(OP_ACCEPT, 0, i));
        else ring_accept_one(&shard->ring, listener, &admission->peers[i], &admission->sizes[i], token_make(OP_ACCEPT, 0, i));
        admission->accepting |= 1u << i;
        admission->many |= (uint32_t)many << i;
    }
}

/* They are over by a completion of their own. */
static void cancel_accepts(struct shard *shard, uint32_t which)
{
    for (uint32_t i = 0; i < 2 * ACCEPTS_AT_ONCE; i++)
        if (which & 1u << i) ring_cancel(&shard->ring, token_make(OP_ACCEPT, 0, i), token_make(OP_NONE, 0, 0));
    shard->admission.many &= ~which;
}

void admission_arm(struct shard *shard)
{
    struct admission *admission = &shard->admission;
    if (admission->paused && rate_wait_us(&admission->accepts, shard->clock.mono_us, BURST_US - RESUME_US) > 0) return;
    admission->paused = false;
    if (admission->ended) return;
    bool few = few_slots_left(shard);
    if (few) cancel_accepts(shard, admission->many);
    arm_at(shard, shard->listener.descriptor, 0, few);
    if (shard->tls_listener.descriptor >= 0) arm_at(shard, shard->tls_listener.descriptor, ACCEPTS_AT_ONCE, few);
}

/* Those already in the kernel's hands may still come: they are owed. */
static void pause_accepting(struct shard *shard)
{
    shard->admission.paused = true;
    limit_hit(shard, NULL, LIMIT_ACCEPTS_PER_SECOND);
    cancel_accepts(shard, shard->admission.accepting);
}

void admission_end(struct shard *shard)
{
    shard->admission.ended = true;
    cancel_accepts(shard, shard->admission.accepting);
}

static void accept_failed(struct shard *shard, int error)
{
    if (error == ECANCELED) return;
    counter_add(&shard->counters, COUNTER_ACCEPT_FAILED, 1);
    /* The ring's table may have more slots, for a limit that is raised: ring_limit_files(). */
    if (error == ENFILE && shard->conns.used >= shard_files_now(shard)) limit_hit(shard, NULL, LIMIT_CONNECTIONS);
    else log_text(&shard->logger, EVENT_ACCEPT_FAILED, "error", strerrorname_np(error));
}

void admission_on_accept(struct shard *shard, const struct completion *completion)
{
    struct admission *admission = &shard->admission;
    uint32_t slot = token_index(completion->token);
    uint64_t per_second = accepts_per_second(shard);
    if (!completion_more(completion)) admission->accepting &= ~(1u << slot), admission->many &= ~(1u << slot); /* armed again when the turn is over */
    if (completion->result < 0) {
        accept_failed(shard, -completion->result);
        return;
    }
    conn_accepted(shard, (uint32_t)completion->result, slot >= ACCEPTS_AT_ONCE, shard->ring.tells_peers ? NULL : &admission->peers[slot]);
    if (per_second == 0) return;
    if (!rate_take(&admission->accepts, shard->clock.mono_us, per_second, UINT64_MAX, 1)) return;
    if (!admission->paused && rate_wait_us(&admission->accepts, shard->clock.mono_us, BURST_US) > 0) pause_accepting(shard);
}

/* ---- addresses --------------------------------------------------------------------------------------------------------- */

bool admission_trusts(const struct shard *shard, const struct address *address)
{
    return networks_have(shard->admission.trusted, shard->admission.trusted_count, address);
}

static uint64_t most_of_address(const struct shard *shard)
{
    const struct settings *settings = shard->settings;
    uint64_t limit = settings->limits_connections_per_address, part = shard_part_of(settings, limit), most = part + part / 8 + 8;
    return limit == 0 ? UINT64_MAX : settings->shards == 1 || most > limit ? limit : most;
}

static uint32_t find(const struct admission *admission, uint32_t hash, const struct address *address)
{
    const struct table *table = &admission->by_address;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        const struct counted *counted = pool_at(&admission->addresses, table->slots[at].index);
        if (memcmp(&counted->address, address, sizeof *address) == 0) return table->slots[at].index;
    }
    return POOL_NONE;
}

bool admission_count(struct shard *shard, struct conn *conn)
{
    struct admission *admission = &shard->admission;
    if (conn->counted != POOL_NONE || conn->proxy || !address_known(&conn->address) || address_is_loopback(&conn->address)) return true;
    struct address address = address_cut(&conn->address, (uint32_t)shard->settings->limits_ipv6_prefix);
    uint32_t hash = (uint32_t)siphash(admission->hash_key, span_of((const char *)address.bytes, sizeof address.bytes));
    uint32_t index = find(admission, hash, &address);
    if (index == POOL_NONE) {
        index = pool_take(&admission->addresses);
        CHECK(index != POOL_NONE); /* there are as many as connections */
        *(struct counted *)pool_at(&admission->addresses, index) = (struct counted){ address, hash, 0 };
        table_insert_surely(&admission->by_address, hash, index);
    }
    struct counted *counted = pool_at(&admission->addresses, index);
    if (counted->connections >= most_of_address(shard)) return false; /* it has some: it stays */
    counted->connections++;
    conn->counted = index;
    return true;
}

void admission_uncount(struct shard *shard, struct conn *conn)
{
    struct admission *admission = &shard->admission;
    if (conn->counted == POOL_NONE) return;
    struct counted *counted = pool_at(&admission->addresses, conn->counted);
    if (--counted->connections == 0) {
        table_remove(&admission->by_address, counted->hash, conn->counted);
        pool_give(&admission->addresses, conn->counted);
    }
    conn->counted = POOL_NONE;
}

bool admission_forwarded(struct shard *shard, struct conn *conn, struct span head, const struct http_request *request)
{
    struct forwarded forwarded = { .begun = false };
    struct span name, value, hop;
    uint32_t at = request->headers_at;
    if (!conn->proxy) return true;
    while (http_header_next(head, &at, &name, &value)) {
        if (!http_token_is(name, "x-forwarded-for")) continue;
        while (http_list_next(&value, &hop)) forwarded_add(&forwarded, hop, shard->admission.trusted, shard->admission.trusted_count);
    }
    if (!forwarded.begun || forwarded.unknown) return true; /* the proxy speaks for itself */
    conn->address = forwarded.address;
    conn->proxy = !forwarded.foreign;
    bool counted = admission_count(shard, conn);
    conn->proxy = true; /* what comes over this connection still comes from it */
    return counted;
}
