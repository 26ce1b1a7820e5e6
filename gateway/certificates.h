/* Certificates: the files that the settings cert, key and client-ca name, read and made ready for the shards. They are looked at each second, and
 * taken when they have changed and lie still; what can't be used changes nothing. By the main thread. */
#ifndef GATEWAY_CERTIFICATES_H
#define GATEWAY_CERTIFICATES_H

#include "core/io/crypto.h"
#include "core/io/tls.h"
#include "gateway/settings.h"

/* Whether these settings serve TLS at all. */
static inline bool certificates_wanted(const struct settings *settings)
{
    return settings->tls_listen[0] != '\0';
}

/* Reads them. NULL with a plain sentence in `why`: which setting and file, what is wrong, what would be right.
 *   digest   out: of all that was read */
struct tls *certificates_read(const struct settings *settings, uint8_t digest[SHA256_BYTES], char *why, size_t why_size);
/* The same without use for the result; settings that serve no TLS are right where they name no certificate. */
bool certificates_check(const struct settings *settings, char *why, size_t why_size);

/* A number that is another when one of the files is: by their places, sizes and times. */
uint64_t certificates_stamp(const struct settings *settings);

#endif
