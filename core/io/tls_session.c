#include "core/io/tls_session.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "core/io/tls_parts.h"

/* What a handshake that has begun holds until it is over (the library's own objects, its random generator, the transcript): 12 KB were measured with
 * the library built for speed. */
#define SHAKING_BYTES (12u * 1024u)

/* ---- the library's side ------------------------------------------------------------------------------------------------- */

/* It asks for a record's five bytes, then for the rest of it, and never for more. */
int tls_session_receive(WOLFSSL *ssl, char *bytes, int size, void *context)
{
    struct tls_session *session = context;
    if (session->awaited_bytes == 0) session->awaited_bytes = (uint32_t)size;
    if (session->in.size == 0) return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t count = (size_t)size < session->in.size ? (size_t)size : session->in.size;
    memcpy(bytes, session->in.bytes, count);
    session->in = span_skip(session->in, count);
    if (count == (size_t)size) session->awaited_bytes = 0;
    return (int)count;
}

/* Where there are too many runs, small records that the peer asked for, they are moved together: between two there are some bytes of nothing. */
static void add_run(struct tls_session *session, char *bytes, size_t size)
{
    struct span *last = session->records_count > 0 ? &session->records[session->records_count - 1] : NULL;
    char *end = last ? (char *)(uintptr_t)last->bytes + last->size : NULL;
    if (last && session->records_count == TLS_RUNS_MAX && end != bytes) {
        CHECK(end < bytes);
        bytes = memmove(end, bytes, size);
    }
    if (last && end == bytes) last->size += size;
    else session->records[session->records_count++] = span_of(bytes, size);
}

int tls_session_send(WOLFSSL *ssl, char *bytes, int size, void *context)
{
    struct tls_session *session = context;
    if (session->records) {
        add_run(session, tls_memory_record(bytes, (size_t)size), (size_t)size);
        return size;
    }
    session->answers_bytes += (uint32_t)size;
    tls_session_keep(session, span_of(bytes, (size_t)size));
    return size;
}

static enum tls_state fail(struct tls_session *session, int error)
{
    session->state = TLS_BROKEN;
    session->closed = true; /* the library has written its alert, where there is one to write */
    session->error = error;
    return TLS_BROKEN;
}

/* ---- beginning and end -------------------------------------------------------------------------------------------------- */

int tls_hello_look(struct span bytes)
{
    enum { HANDSHAKE = 22, MAJOR = 3, HEADER_BYTES = 5, RECORD_BYTES_MAX = 16384 };
    const unsigned char *at = (const unsigned char *)bytes.bytes;
    if ((bytes.size > 0 && at[0] != HANDSHAKE) || (bytes.size > 1 && at[1] != MAJOR)) return -1;
    if (bytes.size < HEADER_BYTES) return 0;
    size_t size = (size_t)at[3] << 8 | at[4];
    if (size == 0 || size > RECORD_BYTES_MAX) return -1;
    return bytes.size >= HEADER_BYTES + size;
}

static WOLFSSL_CTX *context_of(const struct tls *tls, struct span hello)
{
    unsigned char name[256];
    word32 size = sizeof name;
    int found = wolfSSL_SNI_GetFromBuffer((const unsigned char *)hello.bytes, (word32)hello.size, WOLFSSL_SNI_HOST_NAME, name, &size);
    return tls_context_for(tls, found == WOLFSSL_SUCCESS ? span_of((const char *)name, size) : SPAN_NONE);
}

bool tls_session_init(struct tls_session *session, const struct tls *tls, struct span hello)
{
    char protocols[] = "http/1.1";
    *session = (struct tls_session){ .ssl = wolfSSL_new(context_of(tls, hello)), .authorities = tls_authorities(tls) };
    if (!session->ssl) return false;
    wolfSSL_SetIOReadCtx(session->ssl, session);
    wolfSSL_SetIOWriteCtx(session->ssl, session);
    wolfSSL_SetCertCbCtx(session->ssl, session);
    if (wolfSSL_UseALPN(session->ssl, protocols, sizeof protocols - 1, WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS) return true;
    tls_session_deinit(session);
    return false;
}

void tls_session_deinit(struct tls_session *session)
{
    wolfSSL_free(session->ssl);
    free(session->unsent);
    free(session->shown);
    session->ssl = NULL;
    session->unsent = NULL;
    session->shown = NULL;
}

enum tls_state tls_session_shake(struct tls_session *session, const struct tls *tls, struct span *in)
{
    session->tls = tls;
    session->in = *in;
    int result = wolfSSL_accept(session->ssl);
    *in = session->in;
    session->tls = NULL;
    session->in = SPAN_NONE;
    if (result == WOLFSSL_SUCCESS) {
        session->resumed = wolfSSL_session_reused(session->ssl);
        session->state = TLS_OPEN;
        return TLS_OPEN;
    }
    int error = wolfSSL_get_error(session->ssl, result);
    return error == WOLFSSL_ERROR_WANT_READ ? TLS_SHAKING : fail(session, error);
}

void tls_session_close(struct tls_session *session)
{
    if (session->closed) return;
    session->closed = true;
    wolfSSL_shutdown(session->ssl);
}

/* ---- what comes --------------------------------------------------------------------------------------------------------- */

size_t tls_session_open(struct tls_session *session, struct span *in, char *plain, size_t room)
{
    size_t bytes = 0;
    session->in = *in;
    while (bytes < room && session->state == TLS_OPEN) {
        int count = wolfSSL_read(session->ssl, plain + bytes, (int)(room - bytes));
        if (count > 0) {
            bytes += (size_t)count;
            continue;
        }
        int error = wolfSSL_get_error(session->ssl, count);
        if (error == WOLFSSL_ERROR_WANT_READ) break;
        if (error == WOLFSSL_ERROR_ZERO_RETURN) session->state = TLS_ENDED;
        else fail(session, error);
    }
    *in = session->in;
    session->in = SPAN_NONE;
    return bytes;
}

bool tls_session_holds(const struct tls_session *session)
{
    return session->state == TLS_OPEN && wolfSSL_pending(session->ssl) > 0;
}

/* ---- what goes ---------------------------------------------------------------------------------------------------------- */

void tls_session_arena(char *arena, size_t bytes)
{
    tls_memory_arena(arena, bytes);
}

bool tls_session_seal(struct tls_session *session, const char *plain, size_t size, size_t *used, struct span *records, uint32_t *count)
{
    CHECK(session->state == TLS_OPEN || session->state == TLS_ENDED);
    session->records = records;
    session->records_count = *count;
    tls_memory_begin(*used, size);
    int written = wolfSSL_write(session->ssl, plain, (int)size);
    *used = tls_memory_end();
    *count = session->records_count;
    session->records = NULL;
    if (written == (int)size) return true;
    fail(session, wolfSSL_get_error(session->ssl, written));
    return false;
}

void tls_session_taken(struct tls_session *session, size_t bytes)
{
    CHECK(bytes <= session->unsent_bytes - session->unsent_at);
    session->unsent_at += (uint32_t)bytes;
    if (session->unsent_at < session->unsent_bytes) return;
    free(session->unsent);
    session->unsent = NULL;
    session->unsent_at = session->unsent_bytes = session->answers_bytes = 0;
}

/* Of exactly the size that is needed: what a stalled peer holds is this. */
void tls_session_keep(struct tls_session *session, struct span bytes)
{
    struct span before = tls_session_unsent(session);
    if (bytes.size == 0) return;
    char *unsent = reserve_resize(NULL, before.size + bytes.size);
    span_write(bytes, span_write(before, unsent));
    free(session->unsent);
    session->unsent = unsent;
    session->unsent_at = 0;
    session->unsent_bytes = (uint32_t)(before.size + bytes.size);
}

/* ---- what is told of it ------------------------------------------------------------------------------------------------- */

size_t tls_session_weight(const struct tls_session *session)
{
    return (session->state == TLS_SHAKING ? SHAKING_BYTES : 0) + session->unsent_bytes + session->awaited_bytes;
}

const char *tls_session_why(const struct tls_session *session)
{
    return wolfSSL_ERR_reason_error_string((unsigned long)session->error);
}
