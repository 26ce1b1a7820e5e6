#include "gateway/token.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/io/crypto.h"
#include "core/proto/base64.h"
#include "gateway/auth.h"
#include "gateway/messages.h"
#include "gateway/settings_read.h"

enum { RANDOM_BYTES = 32, WORDS_BYTES_MAX = 4096, FLAGS_MAX = 64, TTL_S_MAX = 10 * 366 * 86400 };

static int usage(void)
{
    printf("ringcast token: makes keys and tokens for tests and small installations\n\n"
           "  ringcast token key NAME [RIGHTS]             a new API key on standard output, and on standard error the line for the\n"
           "                                               file auth.keys, which holds its SHA-256 alone\n"
           "  ringcast token secret                        a new secret for auth.jwt-secret\n"
           "  ringcast token jwt [--ttl 1h] [--jti ID] [--config FILE] [settings] [RIGHTS]\n"
           "                                               a token by HS256, with auth.jwt-secret, auth.jwt-issuer and\n"
           "                                               auth.jwt-audience as a gateway would read them\n\n"
           "RIGHTS: sub=AAPL,crypto.* (may follow and read), pub=chat.> (may publish), max_hz=10 (of each topic), admin (keys alone: all)\n");
    return 0;
}

static int fail(const char *why)
{
    fprintf(stderr, "ringcast token: %s\n", why);
    return 1;
}

static void random_text(char text[BASE64URL_ENCODED_BYTES(RANDOM_BYTES) + 1])
{
    char bytes[RANDOM_BYTES];
    random_fill(bytes, sizeof bytes);
    text[base64url_encode(span_of(bytes, sizeof bytes), text)] = '\0';
    explicit_bzero(bytes, sizeof bytes);
}

/* Words with spaces between them; false: too many. */
static bool add_word(char words[WORDS_BYTES_MAX], const char *word)
{
    size_t size = strlen(words), room = WORDS_BYTES_MAX - size;
    return (size_t)snprintf(words + size, room, "%s%s", size > 0 ? " " : "", word) < room;
}

static int make_key(int argc, char **argv)
{
    char key[BASE64URL_ENCODED_BYTES(RANDOM_BYTES) + 1], words[WORDS_BYTES_MAX] = "";
    uint8_t digest[SHA256_BYTES];
    struct rights rights;
    if (argc < 1 || strchr(argv[0], ':') || strlen(argv[0]) > 64) return fail("a key needs a name, without a colon, as in: ringcast token key feed pub=>");
    for (int i = 1; i < argc; i++)
        if (!add_word(words, argv[i])) return fail("the rights are longer than 4096 bytes");
    const char *why = rights_read_words(&rights, span_of_string(words));
    rights_free(&rights);
    if (why) return fail(why);
    random_text(key);
    if (!crypto_sha256(span_of_string(key), digest)) return fail("no SHA-256");
    fprintf(stderr, "%s:", argv[0]);
    for (size_t i = 0; i < sizeof digest; i++) fprintf(stderr, "%02x", digest[i]);
    fprintf(stderr, ":%s\n", words);
    printf("%s\n", key);
    return 0;
}

static int make_secret(void)
{
    char secret[BASE64URL_ENCODED_BYTES(RANDOM_BYTES) + 1];
    random_text(secret);
    printf("%s\n", secret);
    return 0;
}

/* What a token is to be made of. */
struct wish {
    char        words[WORDS_BYTES_MAX];
    const char *ttl, *id;
    int         flags_count;
    char       *flags[FLAGS_MAX]; /* those of the settings */
};

/* NULL, or what is wrong. */
static const char *read_wish(int argc, char **argv, struct wish *wish)
{
    for (int i = 0; i < argc; i++) {
        bool takes = i + 1 < argc;
        if (strcmp(argv[i], "--ttl") == 0 && takes) wish->ttl = argv[++i];
        else if (strcmp(argv[i], "--jti") == 0 && takes) wish->id = argv[++i];
        else if (strncmp(argv[i], "--ttl=", 6) == 0) wish->ttl = argv[i] + 6;
        else if (strncmp(argv[i], "--jti=", 6) == 0) wish->id = argv[i] + 6;
        else if (strncmp(argv[i], "--", 2) != 0) {
            if (!add_word(wish->words, argv[i])) return "the rights are longer than 4096 bytes";
        } else {
            bool apart = takes && !strchr(argv[i], '=') && strncmp(argv[i + 1], "--", 2) != 0;
            if (wish->flags_count + 2 > FLAGS_MAX) return "there are too many flags";
            wish->flags[wish->flags_count++] = argv[i];
            if (apart) wish->flags[wish->flags_count++] = argv[++i];
        }
    }
    return NULL;
}

static bool read_ttl(const char *text, double *seconds)
{
    static const struct {
        const char *unit;
        double      seconds;
    } units[] = { { "", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
    char unit[4] = "", more;
    if (sscanf(text, "%lf%3s%c", seconds, unit, &more) < 1) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].unit) != 0) continue;
        *seconds *= units[i].seconds;
        return isfinite(*seconds) && fabs(*seconds) <= TTL_S_MAX; /* below 0: one that has expired, for tests */
    }
    return false;
}

static void add_string(struct text *text, const char *name, const char *value)
{
    if (!value || !*value) return;
    text_print(text, ",\"%s\":\"", name);
    text_add_escaped(text, span_of_string(value));
    text_add_char(text, '"');
}

static void add_part(struct text *token, struct span bytes)
{
    token->size += base64url_encode(bytes, text_reserve(token, BASE64URL_ENCODED_BYTES(bytes.size)));
}

static int sign(const struct settings *settings, const struct wish *wish, const struct rights *rights, double ttl_s)
{
    struct text claims = { 0 }, token = { 0 };
    uint8_t mac[SHA256_BYTES];
    uint64_t now_s = clock_wall_us() / 1000000;
    text_print(&claims, "{\"iat\":%llu", (unsigned long long)now_s);
    if (wish->ttl) text_print(&claims, ",\"exp\":%.3f", (double)now_s + ttl_s);
    add_string(&claims, "iss", settings->jwt_issuer);
    add_string(&claims, "aud", settings->jwt_audience);
    add_string(&claims, "jti", wish->id);
    text_add_string(&claims, ",\"ringcast\":");
    rights_write_claim(rights, &claims);
    text_add_char(&claims, '}');
    add_part(&token, SPAN_LITERAL("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    text_add_char(&token, '.');
    add_part(&token, text_span(&claims));
    bool made = crypto_hmac(span_of_string(settings->jwt_secret), text_span(&token), mac);
    text_add_char(&token, '.');
    add_part(&token, span_of((char *)mac, sizeof mac));
    if (made && token.size <= JWT_BYTES_MAX) printf("%.*s\n", (int)token.size, token.bytes);
    int status = made && token.size <= JWT_BYTES_MAX ? 0 : fail(made ? "the token would be longer than 8192 bytes: give it fewer rights" : "no HMAC");
    text_free(&token);
    text_free(&claims);
    return status;
}

static int make_token(int argc, char **argv)
{
    static struct configuration configuration;
    static struct wish wish;
    struct rights rights;
    char why[1024];
    double ttl_s = 0;
    const char *fault = read_wish(argc, argv, &wish);
    if (fault) return fail(fault);
    int read = configuration_read(&configuration, wish.flags_count, wish.flags, why, sizeof why);
    if (read > 0) return usage();
    if (read < 0) return fail(why);
    if (!wish.ttl) wish.ttl = "1h";
    if (strcmp(wish.ttl, "none") == 0) wish.ttl = NULL;
    else if (!read_ttl(wish.ttl, &ttl_s)) return fail("--ttl must be a time such as 90s, 15m, 1h or 30d, or none");
    if (strlen(configuration.settings.jwt_secret) < 32) return fail("auth.jwt-secret must be set, to 32 bytes at least (`ringcast token secret` makes one)");
    fault = rights_read_words(&rights, span_of_string(wish.words));
    if (!fault && rights.admin) fault = "a token can't be the admin's: that takes a key";
    int status = fault ? fail(fault) : sign(&configuration.settings, &wish, &rights, ttl_s);
    rights_free(&rights);
    return status;
}

int token_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "help";
    if (strcmp(what, "key") == 0) return make_key(argc - 2, argv + 2);
    if (strcmp(what, "secret") == 0) return make_secret();
    if (strcmp(what, "jwt") == 0) return make_token(argc - 2, argv + 2);
    usage();
    return strcmp(what, "help") == 0 || strcmp(what, "--help") == 0 ? 0 : 2;
}
