#include "core/proto/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

struct address address_of_v4(const uint8_t bytes[4])
{
    struct address address;
    memcpy(address.bytes, v4_prefix, sizeof v4_prefix);
    memcpy(address.bytes + 12, bytes, 4);
    return address;
}

bool address_known(const struct address *address)
{
    static const uint8_t zero[16];
    return memcmp(address->bytes, zero, sizeof zero) != 0;
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t v6[16] = { [15] = 1 };
    return address_is_v4(address) ? address->bytes[12] == 127 : memcmp(address->bytes, v6, sizeof v6) == 0;
}

bool address_read(struct span text, struct address *address)
{
    char room[ADDRESS_TEXT_BYTES];
    uint8_t v4[4];
    if (text.size == 0 || text.size >= sizeof room || span_find(text, 0)) return false;
    memcpy(room, text.bytes, text.size);
    room[text.size] = '\0';
    if (inet_pton(AF_INET, room, v4) == 1) {
        *address = address_of_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, room, address->bytes) == 1;
}

static bool is_port(struct span text)
{
    if (text.size == 0 || text.size > 5) return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return false;
    return true;
}

bool address_read_hop(struct span text, struct address *address)
{
    if (text.size > 0 && text.bytes[0] == '[') {
        const char *end = span_find(text, ']');
        if (!end) return false;
        struct span inside = span_of(text.bytes + 1, (size_t)(end - text.bytes) - 1), rest = span_skip(text, inside.size + 2);
        if (rest.size > 0 && (rest.bytes[0] != ':' || !is_port(span_skip(rest, 1)))) return false;
        return address_read(inside, address) && span_find(inside, ':');
    }
    if (address_read(text, address)) return true;
    const char *colon = span_find(text, ':'); /* of IPv4 with a port */
    if (!colon || !is_port(span_skip(text, (size_t)(colon - text.bytes) + 1))) return false;
    return address_read(span_of(text.bytes, (size_t)(colon - text.bytes)), address);
}

const char *address_write(const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    if (address_is_v4(address)) inet_ntop(AF_INET, address->bytes + 12, out, ADDRESS_TEXT_BYTES);
    else inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_BYTES);
    return out;
}

static struct address cut(const struct address *address, uint32_t prefix)
{
    struct address result = { { 0 } };
    if (prefix > 128) prefix = 128;
    memcpy(result.bytes, address->bytes, prefix / 8);
    if (prefix % 8 > 0) result.bytes[prefix / 8] = address->bytes[prefix / 8] & (uint8_t)(0xff00 >> (prefix % 8));
    return result;
}

struct address address_cut(const struct address *address, uint32_t prefix)
{
    return address_is_v4(address) ? *address : cut(address, prefix);
}

bool network_read(struct span text, struct network *network)
{
    const char *slash = span_find(text, '/');
    struct span front = span_of(text.bytes, slash ? (size_t)(slash - text.bytes) : text.size);
    uint32_t prefix = 0;
    if (!address_read(front, &network->address)) return false;
    uint32_t most = address_is_v4(&network->address) && !span_find(front, ':') ? 32 : 128;
    struct span digits = slash ? span_skip(text, front.size + 1) : SPAN_NONE;
    if (slash && (digits.size == 0 || digits.size > 3)) return false;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') return false;
        prefix = prefix * 10 + (uint32_t)(digits.bytes[i] - '0');
    }
    if (!slash) prefix = most;
    if (prefix > most) return false;
    network->prefix = (uint8_t)(prefix + 128 - most);
    struct address whole = cut(&network->address, network->prefix);
    return memcmp(whole.bytes, network->address.bytes, sizeof whole.bytes) == 0;
}

bool network_has(const struct network *network, const struct address *address)
{
    struct address front = cut(address, network->prefix);
    return memcmp(front.bytes, network->address.bytes, sizeof front.bytes) == 0;
}

static bool between(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

int networks_read(struct span list, struct network *networks, int max, struct span *fault)
{
    int count = 0;
    for (size_t at = 0;;) {
        while (at < list.size && between(list.bytes[at])) at++;
        if (at == list.size) return count;
        size_t end = at;
        while (end < list.size && !between(list.bytes[end])) end++;
        *fault = span_of(list.bytes + at, end - at);
        if (count == max || !network_read(*fault, &networks[count])) return -1;
        count++;
        at = end;
    }
}

bool networks_have(const struct network *networks, int count, const struct address *address)
{
    for (int i = 0; i < count; i++)
        if (network_has(&networks[i], address)) return true;
    return false;
}

void forwarded_add(struct forwarded *forwarded, struct span hop, const struct network *ours, int count)
{
    struct address address = { { 0 } };
    bool known = address_read_hop(hop, &address), foreign = !known || !networks_have(ours, count, &address);
    if (forwarded->begun && !foreign) return;
    *forwarded = (struct forwarded){ .address = address, .begun = true, .foreign = foreign, .unknown = !known };
}
