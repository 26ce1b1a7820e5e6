#include "gateway/web.h"

/* The assembler takes the files in as they are; the paths are seen from the top of the tree, where the build runs. */
#define EMBED(name, path)                                              \
    __asm__(".section .rodata\n"                                       \
            ".global " #name "\n.global " #name "_end\n"               \
            #name ":\n.incbin \"" path "\"\n" #name "_end:\n"         \
            ".byte 0\n"                                                \
            ".previous\n");                                            \
    extern const char name[], name##_end[]

EMBED(web_index_html, "gateway/web/index.html");
EMBED(web_ringcast_js, "gateway/web/ringcast.js");

struct span web_board(void)
{
    return span_of(web_index_html, (size_t)(web_index_html_end - web_index_html));
}

struct span web_client(void)
{
    return span_of(web_ringcast_js, (size_t)(web_ringcast_js_end - web_ringcast_js));
}
