/* Completion tokens: which operation of which thing a completion belongs to, in io_uring's 64 bits of user data.
 *
 *   63..56 operation   55..32 generation of the thing   31..0 its index
 * The generation tells a late completion for a thing that is gone from one for its successor in the same place. */
#ifndef CORE_IO_TOKEN_H
#define CORE_IO_TOKEN_H

#include <stdint.h>

enum operation {
    OP_NONE,   /* nobody waits for it */
    OP_ACCEPT, /* multishot, on a listener */
    OP_WAKE,   /* a read of the shard's eventfd */
    OP_WAKING, /* a message to a sleeping shard's ring; it completes here only where it failed. index: the shard */
    OP_WOKEN,  /* that message, in the other's ring */
    OP_RECV,
    OP_ROOM, /* a poll for room in a full socket */
    OP_PEER, /* asks for the address of an accepted file */
    OP_CANCEL,
    OP_SHUTDOWN,
    OP_CLOSE,
    OP_SEND, /* index: of the entry in the batch; never seen outside of the batch's settling */
};

#define TOKEN_GENERATION_MASK 0xffffffu

static inline uint64_t token_make(enum operation operation, uint32_t generation, uint32_t index)
{
    return (uint64_t)operation << 56 | (uint64_t)(generation & TOKEN_GENERATION_MASK) << 32 | index;
}

static inline enum operation token_operation(uint64_t token)
{
    return (enum operation)(token >> 56);
}

static inline uint32_t token_generation(uint64_t token)
{
    return (uint32_t)(token >> 32) & TOKEN_GENERATION_MASK;
}

static inline uint32_t token_index(uint64_t token)
{
    return (uint32_t)token;
}

#endif
