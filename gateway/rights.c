#include "gateway/rights.h"

#include <stdio.h>

#include "core/proto/json.h"
#include "core/proto/topic_name.h"

bool rights_contain(const struct text *names, struct span name)
{
    for (size_t at = 0; at < names->size;) {
        size_t size = (uint8_t)names->bytes[at];
        if (topic_pattern_contains(span_of(names->bytes + at + 1, size), name)) return true;
        at += 1 + size;
    }
    return false;
}

void rights_copy(struct rights *to, const struct rights *from)
{
    *to = *from;
    to->reads = to->publishes = (struct text){ 0 };
    if (from->reads.size > 0) text_add(&to->reads, text_span(&from->reads));
    if (from->publishes.size > 0) text_add(&to->publishes, text_span(&from->publishes));
}

void rights_free(struct rights *rights)
{
    text_free(&rights->reads);
    text_free(&rights->publishes);
    *rights = (struct rights){ 0 };
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static const char *add_name(struct text *names, bool *all, uint32_t *count, struct span name)
{
    if (++*count > RIGHTS_NAMES_MAX) return "there are more than 1000 names and patterns";
    if (topic_pattern_fault(name)) return "a right is neither a topic's name nor a pattern";
    if (span_is(name, ">")) *all = true;
    text_add_char(names, (char)(uint8_t)name.size);
    text_add(names, name);
    return NULL;
}

static const char *add_list(struct text *names, bool *all, struct span list)
{
    uint32_t count = 0;
    for (bool more = true; more;) {
        const char *comma = span_find(list, ',');
        struct span name = span_of(list.bytes, comma ? (size_t)(comma - list.bytes) : list.size);
        const char *why = add_name(names, all, &count, name);
        if (why) return why;
        more = comma != NULL;
        if (more) list = span_skip(list, name.size + 1);
    }
    return NULL;
}

static const char *set_max_hz(struct rights *rights, const struct json_value *value)
{
    if (value->kind == JSON_NUMBER && json_double(value, &rights->max_hz) && rights->max_hz >= 0) return NULL;
    return "max_hz must be a number from 0, which means no cap";
}

static bool after(struct span word, const char *before, struct span *rest)
{
    size_t size = strlen(before);
    if (word.size < size || memcmp(word.bytes, before, size) != 0) return false;
    *rest = span_skip(word, size);
    return true;
}

static const char *read_word(struct rights *rights, struct span word)
{
    struct span rest;
    struct json_value number;
    if (span_is(word, "admin")) {
        rights->admin = true;
        return NULL;
    }
    if (after(word, "sub=", &rest)) return rights->reads.size > 0 ? "sub= stands twice" : add_list(&rights->reads, &rights->reads_all, rest);
    if (after(word, "pub=", &rest)) return rights->publishes.size > 0 ? "pub= stands twice" : add_list(&rights->publishes, &rights->publishes_all, rest);
    if (!after(word, "max_hz=", &rest)) return "rights are made of sub=NAMES, pub=NAMES, max_hz=NUMBER and admin, with spaces between them";
    if (json_validate(rest, 1, &number) != JSON_OK) number.kind = JSON_NULL;
    return set_max_hz(rights, &number);
}

/* What `>` and admin include need not be looked through. */
static const char *finish(struct rights *rights, const char *why)
{
    if (why) {
        rights_free(rights);
        return why;
    }
    rights->reads_all |= rights->admin;
    rights->publishes_all |= rights->admin;
    if (rights->reads_all) text_free(&rights->reads);
    if (rights->publishes_all) text_free(&rights->publishes);
    return NULL;
}

const char *rights_read_words(struct rights *rights, struct span words)
{
    const char *why = NULL;
    *rights = (struct rights){ 0 };
    for (size_t at = 0; at < words.size && !why;) {
        size_t start = at;
        while (at < words.size && words.bytes[at] != ' ' && words.bytes[at] != '\t') at++;
        if (at > start) why = read_word(rights, span_of(words.bytes + start, at - start));
        at++;
    }
    return finish(rights, why);
}

static const char *add_array(struct text *names, bool *all, const struct json_value *array)
{
    struct json_value element;
    uint32_t count = 0;
    if (array->kind != JSON_ARRAY) return "the rights sub and pub must be arrays of topics and patterns";
    for (size_t at = 0; json_array_next(array->text, &at, &element);) {
        char room[TOPIC_NAME_BYTES_MAX];
        long size = element.kind == JSON_STRING ? json_string_unescape(&element, room, sizeof room) : -1;
        if (size < 0) return "a right is neither a topic's name nor a pattern";
        const char *why = add_name(names, all, &count, span_of(room, (size_t)size));
        if (why) return why;
    }
    return NULL;
}

const char *rights_read_claim(struct rights *rights, struct span object)
{
    struct json_value key, value;
    enum { SUB = 1, PUB = 2, MAX_HZ = 4 };
    unsigned seen = 0;
    const char *why = NULL;
    *rights = (struct rights){ 0 };
    for (size_t at = 0; !why && json_member_next(object, &at, &key, &value);) {
        unsigned which = json_string_is(&key, "sub") ? SUB : json_string_is(&key, "pub") ? PUB : json_string_is(&key, "max_hz") ? MAX_HZ : 0;
        if (seen & which) why = "the token has a right twice";
        else if (which == SUB) why = add_array(&rights->reads, &rights->reads_all, &value);
        else if (which == PUB) why = add_array(&rights->publishes, &rights->publishes_all, &value);
        else if (which == MAX_HZ) why = set_max_hz(rights, &value);
        seen |= which;
    }
    return finish(rights, why);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

static void write_names(struct text *text, const char *before, const struct text *names, bool all)
{
    text_add_string(text, before);
    if (all) text_add_string(text, "\">\"");
    for (size_t at = 0; at < names->size;) {
        size_t size = (uint8_t)names->bytes[at];
        text_add_string(text, at > 0 ? ",\"" : "\""); /* what passed as a name needs no escapes */
        text_add(text, span_of(names->bytes + at + 1, size));
        text_add_char(text, '"');
        at += 1 + size;
    }
    text_add_char(text, ']');
}

void rights_write_claim(const struct rights *rights, struct text *text)
{
    write_names(text, "{\"sub\":[", &rights->reads, rights->reads_all);
    write_names(text, ",\"pub\":[", &rights->publishes, rights->publishes_all);
    if (rights->max_hz > 0) text_print(text, ",\"max_hz\":%.17g", rights->max_hz);
    text_add_char(text, '}');
}
