#include "gateway/certificates.h"

#include <stdio.h>
#include <sys/stat.h>

#include "core/base/check.h"
#include "core/base/siphash.h"
#include "core/proto/http.h"
#include "gateway/auth_files.h"

enum { FILES_MAX = 2 * TLS_PAIRS_MAX, PATH_BYTES = 1024 };

/* The files that are named, in pairs; how many pairs, or -1. */
static int split(const struct settings *settings, struct span certificates[TLS_PAIRS_MAX], struct span keys[TLS_PAIRS_MAX], char *why, size_t why_size)
{
    struct span cert_list = span_of_string(settings->cert), key_list = span_of_string(settings->key), path;
    int certs = 0, of_keys = 0;
    while (http_list_next(&cert_list, &path) && certs <= TLS_PAIRS_MAX)
        if (certs++ < TLS_PAIRS_MAX) certificates[certs - 1] = path;
    while (http_list_next(&key_list, &path) && of_keys <= TLS_PAIRS_MAX)
        if (of_keys++ < TLS_PAIRS_MAX) keys[of_keys - 1] = path;
    if (certs == 0) snprintf(why, why_size, "tls-listen is set, but no certificate: set cert and key to files in PEM");
    else if (certs != of_keys) snprintf(why, why_size, "cert names %d file%s and key %d: each certificate needs its key, in the same order", certs, certs == 1 ? "" : "s", of_keys);
    else if (certs > TLS_PAIRS_MAX) snprintf(why, why_size, "cert names more than %d files", TLS_PAIRS_MAX);
    else return certs;
    return -1;
}

static bool read_file(const char *name, struct span path, struct text *text, char *why, size_t why_size)
{
    char terminated[PATH_BYTES], detail[256];
    snprintf(terminated, sizeof terminated, "%.*s", (int)path.size, path.bytes);
    if (auth_file_read(terminated, text, detail, sizeof detail)) return true;
    snprintf(why, why_size, "%s, %s: %s", name, terminated, detail);
    return false;
}

static struct tls *make(const struct tls_pair *pairs, uint32_t count, const struct span *certificates, struct span authorities, const char *client_ca, char *why, size_t why_size)
{
    char detail[512];
    uint32_t at = 0;
    if (!tls_start()) {
        snprintf(why, why_size, "the TLS library does not start");
        return NULL;
    }
    struct tls *tls = tls_make(pairs, count, authorities, &at, detail, sizeof detail);
    if (!tls && at == count) snprintf(why, why_size, "client-ca, %s: %s", client_ca, detail);
    else if (!tls) snprintf(why, why_size, "cert, %.*s: %s", (int)certificates[at].size, certificates[at].bytes, detail);
    return tls;
}

struct tls *certificates_read(const struct settings *settings, uint8_t digest[SHA256_BYTES], char *why, size_t why_size)
{
    struct span certificates[TLS_PAIRS_MAX], keys[TLS_PAIRS_MAX];
    struct text texts[FILES_MAX] = { { 0 } }, authorities = { 0 }, seen = { 0 };
    struct tls_pair pairs[TLS_PAIRS_MAX];
    int count = split(settings, certificates, keys, why, why_size);
    if (count < 0) return NULL;
    bool fine = true;
    for (int i = 0; i < count && fine; i++) {
        struct text *certificate = &texts[2 * i], *key = &texts[2 * i + 1];
        fine = read_file("cert", certificates[i], certificate, why, why_size) && read_file("key", keys[i], key, why, why_size);
        text_print(&seen, "\n%zu %zu\n", certificate->size, key->size);
        text_add(&seen, text_span(certificate));
        text_add(&seen, text_span(key));
        pairs[i] = (struct tls_pair){ text_span(certificate), text_span(key) };
    }
    bool asks = settings->client_ca[0] != '\0';
    fine = fine && (!asks || read_file("client-ca", span_of_string(settings->client_ca), &authorities, why, why_size));
    text_print(&seen, "\n%d %zu\n", asks, authorities.size);
    if (authorities.size > 0) text_add(&seen, text_span(&authorities));
    struct span asked_by = !asks ? SPAN_NONE : authorities.size > 0 ? text_span(&authorities) : span_of("", 0);
    struct tls *tls = fine ? make(pairs, (uint32_t)count, certificates, asked_by, settings->client_ca, why, why_size) : NULL;
    if (tls) CHECK(crypto_sha256(text_span(&seen), digest)); /* it has signed by then */
    for (int i = 0; i < 2 * count; i++) {
        if (texts[i].size > 0) explicit_bzero(texts[i].bytes, texts[i].size);
        text_free(&texts[i]);
    }
    explicit_bzero(seen.bytes, seen.size);
    text_free(&authorities);
    text_free(&seen);
    return tls;
}

bool certificates_check(const struct settings *settings, char *why, size_t why_size)
{
    uint8_t digest[SHA256_BYTES];
    if (!certificates_wanted(settings)) {
        bool named = settings->cert[0] || settings->key[0] || settings->client_ca[0];
        if (named) snprintf(why, why_size, "%s is set, but not tls-listen: nobody could reach what it is for", settings->cert[0] || settings->key[0] ? "cert or key" : "client-ca");
        return !named;
    }
    struct tls *tls = certificates_read(settings, digest, why, why_size);
    tls_free(tls);
    return tls != NULL;
}

static void stamp_file(struct text *seen, const char *path)
{
    struct stat status;
    if (stat(path, &status)) text_add_char(seen, '-');
    else
        text_print(seen, "%llu %llu %lld %lld.%ld %lld.%ld\n", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino, (long long)status.st_size,
                   (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (long long)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

uint64_t certificates_stamp(const struct settings *settings)
{
    static const uint8_t no_secret[16];
    const char *const lists[] = { settings->cert, settings->key };
    struct text seen = { 0 };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct span list = span_of_string(lists[i]), path;
        while (http_list_next(&list, &path)) {
            char terminated[PATH_BYTES];
            snprintf(terminated, sizeof terminated, "%.*s", (int)path.size, path.bytes);
            stamp_file(&seen, terminated);
        }
    }
    if (settings->client_ca[0]) stamp_file(&seen, settings->client_ca);
    uint64_t stamp = siphash(no_secret, span_of(seen.bytes ? seen.bytes : "", seen.size));
    text_free(&seen);
    return stamp;
}
