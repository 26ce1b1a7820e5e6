/* What a client shows of itself in the handshake: a certificate by one of the authorities, or none. Its promise: tls_session_shown() tells of a
 * certificate only where this very handshake verified it and proved that the client has its key.
 *
 * The library calls back for the leaf once its chain is judged, before the proof of its key. That proof it asks for itself before it takes the
 * client's Finished (RFC 8446, 4.4.3; RFC 5246, 7.4.8), but not from who comes back by a ticket; so what was noted counts when the
 * handshake is over, and was no resumption. */
#include "core/io/tls_parts.h"

#include <stdlib.h>

#include <wolfssl/wolfcrypt/asn.h>

#include "core/base/reserve.h"
#include "core/io/tls_session.h"

#ifdef WOLFSSL_ALWAYS_VERIFY_CB

/* The subject's common name, or the first DNS name where it has none. */
static struct span name_of(const struct DecodedCert *decoded)
{
    if (decoded->subjectCN && decoded->subjectCNLen > 0) return span_of(decoded->subjectCN, (size_t)decoded->subjectCNLen);
    for (const DNS_entry *entry = decoded->altNames; entry; entry = entry->next)
        if (entry->type == ASN_DNS_TYPE && entry->len > 0) return span_of(entry->name, (size_t)entry->len);
    return SPAN_NONE;
}

/* False: it has no name that could be told, or no end. */
static bool note(struct tls_session *session, const WOLFSSL_BUFFER_INFO *leaf)
{
    struct DecodedCert decoded;
    wc_InitDecodedCert(&decoded, leaf->buffer, leaf->length, NULL);
    bool read = wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0;
    struct span name = read ? name_of(&decoded) : SPAN_NONE;
    uint64_t end_us = read ? tls_end_s_of(&decoded) * 1000000 : 0;
    bool fits = name.size > 0 && name.size <= TLS_SHOWN_NAME_BYTES_MAX && end_us > 0;
    if (fits) {
        struct tls_shown *shown = reserve_zeroed(1, sizeof *shown);
        shown->authorities = session->authorities;
        shown->end_us = end_us;
        shown->name_bytes = (uint8_t)name.size;
        memcpy(shown->name, name.bytes, name.size);
        free(session->shown);
        session->shown = shown;
    }
    wc_FreeDecodedCert(&decoded);
    return fits;
}

/* Of each certificate that is wrong, of the leaf in any case, and by TLS 1.2 where there is none. 0 ends the handshake with an alert. */
static int on_verified(int right, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_session *session = store->userCtx;
    if (right && store->totalCerts == 0) return 1; /* it showed none */
    if (!right) session->refused = true;
    else if (store->error_depth == 0 && !note(session, &store->certs[0])) session->refused = true;
    return right && !session->refused;
}

const char *tls_shown_ask(WOLFSSL_CTX *context, struct span authorities)
{
    if (wolfSSL_CTX_load_verify_buffer(context, (const unsigned char *)authorities.bytes, (long)authorities.size, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        return "an authority can't be read: they must be certificates in PEM, whose time has come and is not over";
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, on_verified); /* not FAIL_IF_NO_PEER_CERT: who has none comes as before */
    return NULL;
}

#else

const char *tls_shown_ask(WOLFSSL_CTX *context, struct span authorities)
{
    return "the wolfSSL that is linked does not tell which certificate a client showed: it was built without WOLFSSL_ALWAYS_VERIFY_CB (`make deps-tls` builds one with it)";
}

#endif

const struct tls_shown *tls_session_shown(const struct tls_session *session)
{
    bool over = session->state == TLS_OPEN || session->state == TLS_ENDED;
    return over && !session->resumed && !session->refused ? session->shown : NULL;
}
