/* The PROXY protocol, versions 1 and 2: what a proxy says before a client's first byte (HAProxy, "The PROXY protocol", 2020).
 * Pure; any thread; no allocation. */
#ifndef CORE_PROTO_PROXY_PROTOCOL_H
#define CORE_PROTO_PROXY_PROTOCOL_H

#include "core/proto/address.h"
#include "core/proto/decode.h"

#define PROXY_V1_BYTES_MAX 107
#define PROXY_V2_BYTES_MAX 4096 /* with its type-length-values, which are skipped */

struct proxy_header {
    uint8_t        version; /* 1 or 2; 0: there is no header, the client's bytes begin here */
    bool           proxied; /* false: the proxy speaks for itself (LOCAL, UNKNOWN), or of what is no address of the Internet */
    struct address source;  /* the client's; where proxied */
    uint32_t       bytes;   /* of the header; 0 where there is none */
};

/* Decodes what a connection begins with.
 *   bytes    borrowed; may end anywhere; what follows the header is not looked at
 *   header   written only on DONE
 *   returns  DONE, also where there is no header | MORE: it can be one yet | BAD, *why a sentence (a literal) */
enum decode proxy_header_decode(struct span bytes, struct proxy_header *header, const char **why);

#endif
