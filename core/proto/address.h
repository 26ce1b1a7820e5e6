/* Internet addresses and networks as text: of peers, of proxies' headers, of settings. IPv4 is kept as IPv4-mapped IPv6 (RFC 4291,
 * 2.5.5.2), so that there is one kind. Pure; any thread; no allocation. */
#ifndef CORE_PROTO_ADDRESS_H
#define CORE_PROTO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

#define ADDRESS_TEXT_BYTES 46 /* with the zero at its end */

struct address {
    uint8_t bytes[16]; /* network order; all zero: unknown */
};

struct network {
    struct address address;
    uint8_t        prefix; /* bits, of 128: 10.0.0.0/8 has 104 */
};

/* An address without a port, "192.0.2.7" or "2001:db8::1"; no zone. */
bool address_read(struct span text, struct address *address);
/* The same as in Forwarded headers: with or without a port, IPv6 with or without brackets. */
bool address_read_hop(struct span text, struct address *address);
/* Returns out. */
const char *address_write(const struct address *address, char out[ADDRESS_TEXT_BYTES]);

struct address address_of_v4(const uint8_t bytes[4]);
bool address_known(const struct address *address);
bool address_is_v4(const struct address *address);
bool address_is_loopback(const struct address *address);
/* All of it of IPv4; of IPv6 the first `prefix` bits, the others zero: who has one address there has them all. */
struct address address_cut(const struct address *address, uint32_t prefix);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits behind the prefix must be zero. */
bool network_read(struct span text, struct network *network);
bool network_has(const struct network *network, const struct address *address);

/* A list of networks with commas and white space between. Returns how many, or -1: one is malformed, *fault; or more than `max`. */
int  networks_read(struct span list, struct network *networks, int max, struct span *fault);
bool networks_have(const struct network *networks, int count, const struct address *address);

/* X-Forwarded-For, as far as it may be believed: the rightmost hop that is none of our proxies. Feed it each element from left to right.
 * Where all are ours it is the leftmost. */
struct forwarded {
    struct address address; /* what was found so far */
    bool           begun, foreign;
    bool           unknown; /* that hop is no address */
};
void forwarded_add(struct forwarded *forwarded, struct span hop, const struct network *ours, int count);

#endif
