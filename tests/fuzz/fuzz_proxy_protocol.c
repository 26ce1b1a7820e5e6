/* Fuzzing of what a connection begins with where proxies speak the PROXY protocol, and of addresses and networks as text. Promises tried:
 * no byte beyond the input is read, an answer never changes with the pieces, what is written is read again as the same. */
#include <stdint.h>
#include <stdlib.h>

#include "core/proto/proxy_protocol.h"

#define CLAIM(condition) \
    do { \
        if (!(condition)) __builtin_trap(); \
    } while (0)

static void try_header(struct span bytes)
{
    struct proxy_header header, early_header;
    const char *why = NULL, *early_why = NULL;
    enum decode answer = proxy_header_decode(bytes, &header, &why);
    for (size_t size = 0; size < bytes.size; size++) {
        enum decode early = proxy_header_decode(span_of(bytes.bytes, size), &early_header, &early_why);
        if (early != DECODE_MORE) CLAIM(early == answer);
        if (early == DECODE_BAD) CLAIM(early_why == why);
        if (early == DECODE_DONE) CLAIM(early_header.bytes == header.bytes && early_header.version == header.version);
        if (answer == DECODE_DONE && header.version > 0) CLAIM((early == DECODE_DONE) == (size >= header.bytes));
    }
    CLAIM(answer != DECODE_MORE || bytes.size < PROXY_V2_BYTES_MAX);
    if (answer == DECODE_BAD) CLAIM(why);
    if (answer == DECODE_DONE) CLAIM(header.bytes <= bytes.size && (header.version > 0) == (header.bytes > 0));
}

static void try_text(struct span text)
{
    struct address address, again;
    struct network network;
    struct span fault;
    char out[ADDRESS_TEXT_BYTES];
    if (address_read_hop(text, &address)) {
        address_write(&address, out);
        CLAIM(address_read(span_of_string(out), &again) && memcmp(&again, &address, sizeof address) == 0);
    }
    if (network_read(text, &network)) CLAIM(network_has(&network, &network.address) && network.prefix <= 128);
    CLAIM(networks_read(text, &network, 1, &fault) <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of its own, so that the sanitizer sees a byte too far */
    if (size) memcpy(copy, data, size);
    try_header(span_of(copy, size));
    try_text(span_of(copy, size));
    free(copy);
    return 0;
}
