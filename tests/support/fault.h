/* What a judge found wrong: the first finding stays, with the moment it was made. Empty text: nothing yet. */
#ifndef TESTS_SUPPORT_FAULT_H
#define TESTS_SUPPORT_FAULT_H

#include <stdbool.h>

struct fault {
    char text[400];
};

void fault_say(struct fault *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a text says one of these; NULL ends them. */
bool fault_is_one_of(const char *text, const char *const *signs);

static inline bool fault_found(const struct fault *fault)
{
    return fault->text[0] != '\0';
}

#endif
