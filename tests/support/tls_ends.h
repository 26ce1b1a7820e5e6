/* What both ends of TLS need in a test, without a gateway: a server's certificate by itself, and a client's trust in it. The certificate is for the
 * name "unit", until 2126. For the thread that begins it; failures end the test. */
#ifndef TESTS_SUPPORT_TLS_ENDS_H
#define TESTS_SUPPORT_TLS_ENDS_H

#include "core/io/tls_client.h"
#include "core/io/tls_session.h"

#define TLS_ENDS_NAME "unit"

struct tls_ends {
    struct tls       *tls;
    struct tls_trust *trust;
};

void tls_ends_begin(struct tls_ends *ends);
void tls_ends_end(struct tls_ends *ends);

#endif
