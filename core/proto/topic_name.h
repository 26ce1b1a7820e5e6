/* Topic names and patterns (PROTOCOL.md, "Topics and updates"). Pure; any thread. */
#ifndef CORE_PROTO_TOPIC_NAME_H
#define CORE_PROTO_TOPIC_NAME_H

#include <stdbool.h>

#include "core/base/span.h"

#define TOPIC_NAME_BYTES_MAX 128

/* 1 to 128 bytes of UTF-8 without ASCII space or control character (DEL among them), U+0080 to U+00A0, U+2028, U+2029, and
 * without , * > " \ ; tokens separated by '.', none empty. NULL where valid, else a plain sentence that says what is wrong. */
const char *topic_name_fault(struct span name);

/* The gateway's own: begins with '$'. */
static inline bool topic_name_reserved(struct span name)
{
    return name.size > 0 && name.bytes[0] == '$';
}

/* Cuts the first token off a name or pattern; *rest is SPAN_NONE after the last. */
struct span topic_token_next(struct span *rest);

/* Whether it has the form of a pattern: a whole token '*', or a final token '>'. NULL where it is a valid pattern or name. */
bool        topic_pattern_is(struct span text); /* holds '*' or '>' at all */
const char *topic_pattern_fault(struct span pattern);
/* Whether a pattern covers a name; neither '*' nor '>' as the first token covers a first token that begins with '$'. */
bool        topic_pattern_matches(struct span pattern, struct span name);
/* Whether a pattern (or name) covers whatever another pattern (or name) may cover. */
bool        topic_pattern_contains(struct span pattern, struct span other);

#endif
