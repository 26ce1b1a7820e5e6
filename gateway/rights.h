/* Rights: what a credential allows. Read once from words or from a token's claim, then only looked at.
 *
 *   words   sub=AAPL,crypto.* pub=chat.> max_hz=10          in auth.keys and for `ringcast token`; `admin` alone allows all
 *   claim   {"sub":["AAPL","crypto.*"],"pub":["chat.>"],"max_hz":10}
 *
 * A topic or pattern is allowed where one name or pattern here contains it; `>` is kept as a flag, so that it costs one comparison.
 * Names that begin with $ are for `admin` alone. Plain data: copied, never shared, no thread's in particular. */
#ifndef GATEWAY_RIGHTS_H
#define GATEWAY_RIGHTS_H

#include "core/base/text.h"

#define RIGHTS_NAMES_MAX 1000 /* for reading, and as many for publishing */

struct rights {
    bool        admin;     /* all, /metrics and the gateway's own names included */
    bool        reads_all; /* a `>` is among them */
    bool        publishes_all;
    double      max_hz;    /* of each topic that is followed, at most; 0: no cap */
    struct text reads;     /* names and patterns, each behind a byte that tells its size; owned */
    struct text publishes;
};

/* NULL, or a literal that says what is wrong; then rights holds nothing. Zeroed before. */
const char *rights_read_words(struct rights *rights, struct span words);
const char *rights_read_claim(struct rights *rights, struct span object);
/* The claim that says the same. */
void rights_write_claim(const struct rights *rights, struct text *text);

void rights_copy(struct rights *to, const struct rights *from);
/* Afterwards it allows nothing. */
void rights_free(struct rights *rights);

bool rights_contain(const struct text *names, struct span name);

/* Whether it may follow and read this name or pattern, and publish to this name (or anything at all: SPAN_NONE). */
static inline bool rights_may_read(const struct rights *rights, struct span name)
{
    return rights->admin || (name.size > 0 && name.bytes[0] != '$' && (rights->reads_all || rights_contain(&rights->reads, name)));
}

static inline bool rights_may_publish(const struct rights *rights, struct span name)
{
    return rights->publishes_all || (name.bytes ? rights_contain(&rights->publishes, name) : rights->publishes.size > 0);
}

#endif
