/* Growing text: replies, pages, what a connection has still to be sent. Owned by whoever holds the struct; zero it before
 * use. It takes memory when first written to and none after text_free(). Memory is short only once the
 * reserve is gone (reserve.h): these are small and bounded by their users. One thread at a time. */
#ifndef CORE_BASE_TEXT_H
#define CORE_BASE_TEXT_H

#include "core/base/span.h"

struct text {
    char  *bytes;
    size_t size, capacity;
};

void text_free(struct text *text);
/* Room for `count` more bytes behind the end; the caller writes them and adds to size. */
char *text_reserve(struct text *text, size_t count);
/* The same for who can refuse: the reserve is drawn on once, for what is small against it; else the allocator has to give it. False: there is none,
 * and nothing has changed. */
bool  text_try(struct text *text, size_t count);
void  text_add(struct text *text, struct span bytes);
void  text_add_string(struct text *text, const char *string);
void  text_add_char(struct text *text, char character);
void  text_add_number(struct text *text, uint64_t number);
void  text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes `count` bytes out at `at`. */
void  text_cut(struct text *text, size_t at, size_t count);

static inline struct span text_span(const struct text *text)
{
    return span_of(text->bytes, text->size);
}

#endif
