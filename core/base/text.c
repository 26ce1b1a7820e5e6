#include "core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){ 0 };
}

static size_t capacity_for(const struct text *text, size_t count)
{
    size_t capacity = text->capacity ? text->capacity * 2 : 256;
    while (capacity < text->size + count) capacity *= 2;
    return capacity;
}

char *text_reserve(struct text *text, size_t count)
{
    if (text->capacity - text->size < count) {
        size_t capacity = capacity_for(text, count);
        text->bytes = reserve_resize(text->bytes, capacity);
        text->capacity = capacity;
    }
    return text->bytes + text->size;
}

bool text_try(struct text *text, size_t count)
{
    enum { SMALL_BYTES = RESERVE_BYTES / 16 }; /* an answer is copied up to five times on its way */
    if (text->capacity - text->size >= count) return true;
    size_t capacity = capacity_for(text, count);
    char *bytes = realloc(text->bytes, capacity);
    if (!bytes && capacity <= SMALL_BYTES && !reserve_is_drawn()) bytes = reserve_resize(text->bytes, capacity);
    if (!bytes) return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, struct span bytes)
{
    if (bytes.size == 0) return;
    memcpy(text_reserve(text, bytes.size), bytes.bytes, bytes.size);
    text->size += bytes.size;
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, span_of_string(string));
}

void text_add_char(struct text *text, char character)
{
    *text_reserve(text, 1) = character;
    text->size++;
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[20], *at = digits + sizeof digits;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    text_add(text, span_of(at, (size_t)(digits + sizeof digits - at)));
}

void text_print(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    CHECK(size >= 0);
    vsnprintf(text_reserve(text, (size_t)size + 1), (size_t)size + 1, format, again);
    text->size += (size_t)size;
    va_end(again);
    va_end(arguments);
}

void text_cut(struct text *text, size_t at, size_t count)
{
    CHECK(at <= text->size && count <= text->size - at);
    if (count == 0) return; /* it may never have been written to */
    memmove(text->bytes + at, text->bytes + at + count, text->size - at - count);
    text->size -= count;
}
