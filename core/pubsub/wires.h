/* Wires: all queues between N shards, made once by the main thread before any other runs, and every size they have.
 *
 *   reader's shard  --- asks: items, and their names and payloads in a byte ring --->  home
 *   reader's shard  <-- tells: items ---------------------------------------------  home
 *
 * Each ordered pair of shards has one wire. What travels is said in link.h; here is only how it is packed and how much fits. */
#ifndef CORE_PUBSUB_WIRES_H
#define CORE_PUBSUB_WIRES_H

#include <assert.h>
#include <stdalign.h>

#include "core/pubsub/link.h"
#include "core/queue/byte_ring.h"
#include "core/queue/spsc.h"

#define ASKS_MAX    1024u             /* items of one wire, in each direction */
#define TELLS_MAX   1024u
#define CREDITS_MAX (TELLS_MAX / 2)   /* asks under way that may need a reply */
#define ASK_BYTES   (256u * 1024u)    /* of names and payloads under way */
static_assert(TELLS_MAX > CREDITS_MAX, "a reply must always find room");

/* One engine_receive() takes no more from each peer, so that a turn stays short whatever has piled up. */
#define ASKS_EACH_RECEIVE      256u
#define ASK_BYTES_EACH_RECEIVE (256u * 1024u) /* the run that reaches it is taken whole */
#define TELLS_EACH_RECEIVE     256u
#define LOOKS_EACH_TURN        16384u /* at patterns, for births of what comes by links: some 3 ms; each receive takes one item of a link in any case */

/* Powers of two, asks and tells at least 2, ask_bytes at least ASK_BYTES_MIN. Half of the tells are for replies. */
struct wires_settings {
    uint32_t asks, tells, ask_bytes;
};
#define ASK_BYTES_MIN 1024u
/* How many ask_bytes it takes that updates of so many bytes can be published. */
uint32_t wires_ask_bytes(uint64_t payload_bytes_max);

enum ask_kind {
    ASK_PUBLISH, /* a credit; name, data */
    ASK_DELETE,  /* a credit; name */
    ASK_QUERY,   /* a credit; name, or for QUERY_NAMES prefix and after, for QUERY_NEWS none */
    ASK_INTEREST,    /* a credit: TELL_REFUSED, or the credit comes back and a notice follows when there is room; name */
    ASK_HELD,        /* state: the reader holds no segment below held_from */
    ASK_INTEREST_END, /* state: it holds none at all, and wants no more notices */
    ASK_PATTERN,     /* a credit: TELL_PATTERN with refused, or the credit comes back and matches follow, then TELL_PATTERN; pattern */
    ASK_PATTERN_END, /* state; pattern */
};

struct ask {
    uint8_t  kind; /* enum ask_kind */
    bool     quiet, line_break, key, has_after;
    uint8_t  query_kind;
    uint8_t  format;     /* enum wire_format; INTEREST */
    bool     own;        /* QUERY */
    uint32_t ticket;
    uint64_t hash;
    uint32_t name_bytes, data_bytes; /* one run of the byte ring: name, then data */
    uint32_t index;      /* INTEREST: the reader's local topic; HELD, INTEREST_END: the home's topic; PATTERN: the reader's pattern */
    uint32_t generation; /* of the interest or of the pattern */
    uint32_t held_from;
    uint32_t limit;
    union {
        struct { uint64_t after_seq, bytes_max; };    /* QUERY */
        struct { uint64_t received_ns, read_ns; };    /* PUBLISH: as trace_ask() took them; 0: nobody traces */
    };
};

enum tell_kind {
    TELL_CREDITS,   /* nothing but credits, of asks that want no reply */
    TELL_PUBLISHED,
    TELL_DELETED,
    TELL_ANSWERED,
    TELL_REFUSED,   /* an interest: limits.topics */
    TELL_NOTICE,
    TELL_BIRTH,     /* a topic that was just born, which a pattern of the reader covers; before any notice of that life */
    TELL_MATCH,     /* a topic that was there when the reader began to follow the pattern */
    TELL_PATTERN,   /* all matches of the pattern were told; or it is refused */
};

/* On lines of its own, so that a notice of one segment is two of them: more is rare, and each costs a way between two CPUs. */
#define TELL_LINE_BYTES 64
struct tell {
    alignas(TELL_LINE_BYTES) uint8_t kind; /* enum tell_kind */
    bool     refused; /* PATTERN */
    uint16_t credits; /* that come back with it */
    uint32_t ticket;
    union {
        struct notice        notice;
        struct publish_reply published;
        struct delete_reply  deleted;
        struct {
            struct text text; /* owned by whoever took the tell; behind the answer the last name */
            uint32_t    last_bytes;
            bool        found, more, busy;
        } answered;
        struct {
            uint32_t index, generation; /* REFUSED: of the local topic; MATCH, PATTERN: of the reader's pattern */
            uint32_t name_bytes;
            char     epoch[EPOCH_BYTES]; /* BIRTH */
            char     name[TOPIC_NAME_BYTES_MAX];
        };
    };
};

static_assert(offsetof(struct tell, notice.segments[1]) <= 2 * TELL_LINE_BYTES, "see above");
static_assert(sizeof(struct ask) == 64, "one line");

struct wire {
    struct spsc      asks, tells;
    struct byte_ring ask_bytes;
};

struct wires {
    uint32_t              shards_count;
    uint32_t              credits; /* of each wire: half its tells */
    struct wires_settings settings;
    struct wire          *wires;   /* [reader * shards_count + home] */
};

/* settings NULL: the sizes above. NULL: no memory, or a size that is none. */
struct wires *wires_make(uint32_t shards_count, const struct wires_settings *settings);
/* After all engines are gone. Frees what is still under way. NULL is allowed. */
void          wires_free(struct wires *wires);

static inline struct wire *wires_at(const struct wires *wires, uint32_t reader, uint32_t home)
{
    return &wires->wires[reader * wires->shards_count + home];
}

#endif
