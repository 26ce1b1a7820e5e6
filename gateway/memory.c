#include "gateway/memory.h"

#include "core/base/reserve.h"
#include "gateway/conn_parts.h"
#include "gateway/conn_tls.h"
#include "gateway/http_exchange.h"
#include "gateway/limits.h"
#include "gateway/shard_settings.h"
#include "gateway/ws_reader.h"

enum { SHED_AT_ONCE = 8 }; /* for each look at all connections */

static uint64_t weight_of(const struct conn *conn)
{
    return conn->out.capacity + (conn->held ? conn->input_size : 0) + ws_reader_bytes(conn) + http_exchange_bytes(conn) + (conn->tls ? conn_tls_weight(conn) : 0);
}

void memory_weigh(struct shard *shard, struct conn *conn)
{
    if (conn->state == CONN_JOINING) return;
    uint64_t weight = weight_of(conn);
    shard->clients_bytes += weight - conn->weight;
    conn->weight = weight;
}

void memory_forget(struct shard *shard, struct conn *conn)
{
    shard->clients_bytes -= conn->weight;
    conn->weight = 0;
}

/* The heaviest, heaviest first; returns how many. */
static uint32_t find_heaviest(const struct shard *shard, struct conn *heaviest[SHED_AT_ONCE])
{
    uint32_t count = 0;
    for (uint32_t index = 0; (index = bitset_next(&shard->live, index)) != BITSET_NONE; index++) {
        struct conn *conn = conn_at(shard, index);
        if (conn->weight == 0 || (count == SHED_AT_ONCE && conn->weight <= heaviest[count - 1]->weight)) continue;
        uint32_t at = count < SHED_AT_ONCE ? count++ : count - 1;
        for (; at > 0 && heaviest[at - 1]->weight < conn->weight; at--) heaviest[at] = heaviest[at - 1];
        heaviest[at] = conn;
    }
    return count;
}

/* Says why where that can be said; who does not take what waits for it can't be told more. */
void memory_shed(struct shard *shard, struct conn *conn)
{
    bool deaf = conn_out_waiting(conn) > CONN_OUT_MAX || (conn->state != CONN_HTTP && conn->state != CONN_OPEN);
    counter_add(&shard->counters, COUNTER_CLOSED_SHED, 1);
    if (deaf || conn->kind == CONN_KIND_STREAM) {
        limit_hit(shard, conn, LIMIT_MEMORY);
        conn_join(shard, conn, WHY_SHED);
    } else if (conn->state == CONN_HTTP) {
        http_refuse(shard, conn, LIMIT_MEMORY);
    } else {
        conn_close(shard, conn, WS_CLOSE_TRY_LATER, limit_hit(shard, conn, LIMIT_MEMORY));
        ws_reader_drop(conn);
    }
    memory_weigh(shard, conn);
}

/* The allocator refused something that had to be there, and does still: what clients hold is all that can be let go. */
static bool is_short(struct shard *shard)
{
    counter_add(&shard->counters, COUNTER_RESERVE_DRAWN, reserve_is_drawn());
    return !reserve_fill();
}

/* A shard's part; and room for one client with the largest message that is let in, what it grew in and its answer, as if there were one shard. */
static uint64_t bytes_max(const struct settings *settings)
{
    enum { HELD_OF_A_MESSAGE = 4 };
    uint64_t part = shard_part_of(settings, settings->limits_memory);
    uint64_t message = HELD_OF_A_MESSAGE * (settings->echo ? settings->limits_echo_message : settings->limits_message);
    uint64_t least = message < settings->limits_memory ? message : settings->limits_memory;
    return part > least ? part : least;
}

bool memory_look(struct shard *shard)
{
    uint64_t most = bytes_max(shard->settings);
    bool refused = is_short(shard);
    if (refused || shard->clients_bytes >= most) shard->shedding = true;
    if (!shard->shedding) return false;
    struct conn *heaviest[SHED_AT_ONCE];
    uint64_t low = refused ? 0 : most - most / 8;
    uint32_t count = find_heaviest(shard, heaviest);
    for (uint32_t i = 0; i < count && shard->clients_bytes >= low; i++) memory_shed(shard, heaviest[i]);
    shard->shedding = refused || (shard->clients_bytes >= low && count > 0);
    return shard->shedding && count > 0;
}
