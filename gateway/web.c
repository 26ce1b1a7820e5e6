#include "gateway/web.h"

#include <stdio.h>

#include "core/base/check.h"

/* The assembler takes the files in as they are; the paths are seen from the top of the tree, where the build runs. */
#define EMBED(name, path)                                              \
    __asm__(".section .rodata\n"                                       \
            ".global " #name "\n.global " #name "_end\n"               \
            #name ":\n.incbin \"" path "\"\n" #name "_end:\n"         \
            ".byte 0\n"                                                \
            ".previous\n");                                            \
    extern const char name[], name##_end[]

EMBED(web_index_html, "gateway/web/index.html");
EMBED(web_board_css, "gateway/web/board.css");
EMBED(web_board_js, "gateway/web/board.js");
EMBED(web_board_table_js, "gateway/web/board_table.js");
EMBED(web_board_history_js, "gateway/web/board_history.js");
EMBED(web_board_topic_js, "gateway/web/board_topic.js");
EMBED(web_board_values_js, "gateway/web/board_values.js");
EMBED(web_dash_html, "gateway/web/dash.html");
EMBED(web_dash_css, "gateway/web/dash.css");
EMBED(web_dash_js, "gateway/web/dash.js");
EMBED(web_dash_findings_js, "gateway/web/dash_findings.js");
EMBED(web_dash_parts_js, "gateway/web/dash_parts.js");
EMBED(web_ringcast_js, "gateway/web/ringcast.js");

#define SCRIPT "text/javascript; charset=utf-8"
#define FILE_OF(name) name, name##_end

static struct {
    const char     *path, *type;
    const char     *bytes, *end;
    struct web_page page; /* written by web_init() */
} pages[] = {
    { "/", "text/html; charset=utf-8", FILE_OF(web_index_html), { 0 } },
    { "/board.css", "text/css; charset=utf-8", FILE_OF(web_board_css), { 0 } },
    { "/board.js", SCRIPT, FILE_OF(web_board_js), { 0 } },
    { "/board_table.js", SCRIPT, FILE_OF(web_board_table_js), { 0 } },
    { "/board_history.js", SCRIPT, FILE_OF(web_board_history_js), { 0 } },
    { "/board_topic.js", SCRIPT, FILE_OF(web_board_topic_js), { 0 } },
    { "/board_values.js", SCRIPT, FILE_OF(web_board_values_js), { 0 } },
    { "/dash", "text/html; charset=utf-8", FILE_OF(web_dash_html), { 0 } },
    { "/dash.css", "text/css; charset=utf-8", FILE_OF(web_dash_css), { 0 } },
    { "/dash.js", SCRIPT, FILE_OF(web_dash_js), { 0 } },
    { "/dash_findings.js", SCRIPT, FILE_OF(web_dash_findings_js), { 0 } },
    { "/dash_parts.js", SCRIPT, FILE_OF(web_dash_parts_js), { 0 } },
    { "/ringcast.js", SCRIPT, FILE_OF(web_ringcast_js), { 0 } },
};
enum { PAGES_COUNT = sizeof pages / sizeof *pages };

/* FNV-1a, 64 bits: it tells one release's file from another's, and nobody gains by a collision. */
static uint64_t hash_of(struct span bytes)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ (uint8_t)bytes.bytes[i]) * 0x100000001b3;
    return hash;
}

void web_init(void)
{
    for (size_t i = 0; i < PAGES_COUNT; i++) {
        struct web_page *page = &pages[i].page;
        page->type = pages[i].type;
        page->body = span_of(pages[i].bytes, (size_t)(pages[i].end - pages[i].bytes));
        char etag[sizeof page->etag];
        snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash_of(page->body));
        memcpy(page->etag, etag, sizeof etag);
        /* Nothing but what this gateway serves is run or loaded, and no string becomes a script or markup. */
        static const char challenge[] = "WWW-Authenticate: Bearer\r\n";
        int size = snprintf(page->headers_refused, sizeof page->headers_refused,
                            "%sContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n"
                            "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\nETag: %s\r\n",
                            challenge, etag);
        CHECK(size > 0 && (size_t)size < sizeof page->headers_refused);
        page->headers = page->headers_refused + sizeof challenge - 1;
    }
}

const struct web_page *web_page(struct span path)
{
    for (size_t i = 0; i < PAGES_COUNT; i++)
        if (span_is(path, pages[i].path)) return pages[i].page.type ? &pages[i].page : NULL;
    return NULL;
}
