/* Gathering: the answer of one HTTP request from several topics or shards: `last` of many topics, names of all shards. Each part
 * is asked for by itself; the answer is written when all are there. Its shard's thread only. */
#ifndef GATEWAY_HTTP_GATHER_H
#define GATEWAY_HTTP_GATHER_H

#include "gateway/conn.h"

#define ANSWER_BYTES_MAX (16u * 1024u * 1024u) /* of one answer, which is made in one piece */

enum gather_kind { GATHER_ONE, GATHER_LAST, GATHER_NAMES };

struct gather_part {
    uint32_t    name_at, name_bytes; /* LAST, ONE: the topic, in `names` */
    bool        found, more;
    struct text text;
};

struct gather {
    enum gather_kind    kind;
    struct query_ask    ask;    /* what is common to all; its spans are set for each ask */
    struct text         names;  /* topics; or prefix and after */
    uint32_t            prefix_bytes, after_bytes; /* NAMES */
    bool                has_after;
    struct gather_part *parts;  /* owned */
    uint32_t            count;
    uint32_t            next;   /* the first that was not asked for yet */
    size_t              bytes;  /* of the parts that came */
    bool                busy;   /* there was no memory for one of them */
};

/* Makes one with `count` parts. The caller fills in what is asked. */
struct gather *gather_make(enum gather_kind kind, uint32_t count);
void           gather_free(struct gather *gather);
/* Memory that it holds. */
size_t         gather_bytes(const struct gather *gather);
/* Names a part's topic. */
void gather_topic(struct gather *gather, uint32_t part, struct span topic);

/* Asks for what was not asked for yet, as far as there is room; answers when all is there. */
void gather_go_on(struct shard *shard, struct conn *conn);

#endif
