/* Frames read back in every wire format, by code of the tests' own. */
#ifndef TESTS_SUPPORT_FRAMES_H
#define TESTS_SUPPORT_FRAMES_H

#include "core/pubsub/format.h"

/* What a whole message says, without its frame; slices lie in it. Asserts its form to the byte. Raw tells neither seq nor ts: 0. */
struct update message_read(enum wire_format format, struct span message, struct span topic);

/* The message of the whole frame at `frame`; asserts that it is framed as its format wants it. Of a compressed one it is borrowed until the next. */
struct span frame_message(enum wire_format format, const char *frame);

/* Both at once. */
struct update frame_read(enum wire_format format, const char *frame, struct span topic);

#endif
