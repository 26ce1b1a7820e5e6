/* Access: what a connection may do with the credential that it showed, and until when (PROTOCOL.md, "Who may do what").
 *
 *   publishing   needs a right, always
 *   reading      is open unless auth.required; $sys and what is below it are for the admin key, as soon as any key is set or the
 *                listener is not loopback
 * A connection without a right credential, where one is required, and one whose token has expired, has a deadline: then 4401.
 * Its shard's thread only. */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "gateway/auth.h"
#include "gateway/conn.h"
#include "gateway/subscribing.h"
#include "gateway/topics_asked.h"

#define ACCESS_GRACE_MS 30000 /* after a token's time, to send a fresh one */
#define ACCESS_WHY_BYTES 256

/* NULL: allowed. Else the code, `unauthorized` where no credential was shown and `forbidden` where it does not suffice, and a plain
 * sentence in `why`. topic: a name, a pattern, or SPAN_NONE: anything of the kind at all. */
const char *access_read_fault(const struct shard *shard, const struct conn *conn, struct span topic, char why[ACCESS_WHY_BYTES]);
const char *access_publish_fault(const struct shard *shard, const struct credential *credential, struct span topic, char why[ACCESS_WHY_BYTES]);
/* Whether the admin key was shown. */
bool        access_is_admin(const struct conn *conn);
const char *access_admin_fault(const struct shard *shard, const struct conn *conn, const char *what, char why[ACCESS_WHY_BYTES]);

/* The same for all topics of a request and its options, whose max_hz is capped; the first that is not allowed is named. False:
 * asked->code and asked->why say it. */
bool access_subscribe(const struct shard *shard, const struct conn *conn, struct topics_asked *asked, struct subscribe_options *options);

/* Who asks shows this token: true: it is the connection's credential from now on. False: all is as before, and *why, a literal, says why. */
bool access_show(struct shard *shard, struct conn *conn, struct span token, const char **why);
/* Who asks shows nothing else: the certificate of the connection's handshake is its credential, where there is one that counts. */
void access_show_certificate(struct shard *shard, struct conn *conn);
/* The connection shows nothing any more. */
void access_forget(struct conn *conn);

/* It opens: its deadline. */
void access_begin(struct shard *shard, struct conn *conn);
/* It has shown another credential: what it follows and may not read any more ends, and says so; the rest is capped; its deadline. */
void access_settle(struct shard *shard, struct conn *conn);
/* All keys may be others now, of this one's connection too. */
void access_adopt(struct shard *shard, struct conn *conn);
/* How long its credential is good, in milliseconds; -1: for ever. */
int64_t access_left_ms(const struct shard *shard, const struct conn *conn);
/* Its deadline has passed: what is said to it. */
const char *access_over_why(const struct conn *conn);

#endif
