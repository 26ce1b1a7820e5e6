/* A command's flags as a table: read, checked against their bounds, and explained from the same lines. */
#ifndef BENCH_FLAGS_H
#define BENCH_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

enum flag_kind { FLAG_TEXT, FLAG_COUNT, FLAG_REAL, FLAG_YES, FLAG_CHOICE };

struct flag {
    const char    *name;  /* without the two dashes; NULL ends the table */
    enum flag_kind kind;
    void          *value; /* const char ** | uint64_t * | double * | bool * | int *: the place in the list of choices */
    const char    *shape; /* how the value is called in the help; of a choice: its words, separated by | */
    const char    *help;
    double         least, most; /* of FLAG_COUNT and FLAG_REAL; both 0: any that is not negative */
};

enum flags_result { FLAGS_OK, FLAGS_HELP, FLAGS_BAD };

/* Reads argv[1..argc). Who takes --url takes --tls and --cacert too (core/io/tls_client.h).
 *   command     for the messages
 *   flags       defaults stand in their values already
 *   others      the arguments that are no flags, at most others_max; absent ones become NULL
 *   returns     OK | HELP: the help is printed | BAD: what is wrong, and what would be right, is on stderr */
enum flags_result flags_read(const char *command, const struct flag *flags, int argc, char **argv, const char **others,
                             int others_max);

void flags_help(const struct flag *flags);

#endif
