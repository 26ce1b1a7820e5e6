/* What a decoder of bytes that arrive piece by piece can answer. */
#ifndef CORE_PROTO_DECODE_H
#define CORE_PROTO_DECODE_H

enum decode {
    DECODE_DONE, /* complete; the results are written */
    DECODE_MORE, /* fine so far: come back with more bytes, from the same start */
    DECODE_BAD,  /* can't become valid, whatever follows */
};

#endif
