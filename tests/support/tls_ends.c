#include "tests/support/tls_ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/check.h"

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBhzCCASygAwIBAgIUWdv83UkKkJ4m3Qcbj3U4lsWWjYEwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEdW5pdDAgFw0yNjExMjkxOTIwMzVaGA8yMTI2MTEwNTE5MjAz\n"
    "NVowDzENMAsGA1UEAwwEdW5pdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHGx\n"
    "PLm5/tl4xM83XChiu+uWJsjRo7CzUoRd4YUY+/he9J9IGWOE/1+hPYFnCP7O8Qdc\n"
    "8SeIy+emfPqQGXL9R1ejZDBiMB0GA1UdDgQWBBS8Q/RzJg4tQpFnT28wjFtm0GOF\n"
    "uzAfBgNVHSMEGDAWgBS8Q/RzJg4tQpFnT28wjFtm0GOFuzAPBgNVHRMBAf8EBTAD\n"
    "AQH/MA8GA1UdEQQIMAaCBHVuaXQwCgYIKoZIzj0EAwIDSQAwRgIhAKV/k4bIHX8W\n"
    "9/6JbAAAT5KIdQOFEESCuxiQvDp+g4esAiEAt5PHyk/86IldCMrQ8yKaiBjpKDmu\n"
    "ZNEwXRy1+c9xVXg=\n"
    "-----END CERTIFICATE-----\n";
static const char key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZAT3NvFafhcV419x\n"
    "jpzFWtM8XG8YktVnCzteZLEy3fGhRANCAARxsTy5uf7ZeMTPN1woYrvrlibI0aOw\n"
    "s1KEXeGFGPv4XvSfSBljhP9foT2BZwj+zvEHXPEniMvnpnz6kBly/UdX\n"
    "-----END PRIVATE KEY-----\n";

void tls_ends_begin(struct tls_ends *ends)
{
    struct tls_pair pair = { span_of_string(certificate), span_of_string(key) };
    char why[256], path[64];
    uint32_t at;
    int file = memfd_create("authority", 0);
    CHECK(file >= 0 && write(file, certificate, sizeof certificate - 1) == (ssize_t)sizeof certificate - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    setenv(TLS_AUTHORITIES_VARIABLE, path, 1);
    CHECK(tls_start());
    ends->tls = tls_make(&pair, 1, SPAN_NONE, &at, why, sizeof why);
    ends->trust = tls_trust_make(why, sizeof why);
    CHECK(ends->tls && ends->trust);
    close(file);
}

void tls_ends_end(struct tls_ends *ends)
{
    tls_free(ends->tls);
    tls_trust_free(ends->trust);
}
