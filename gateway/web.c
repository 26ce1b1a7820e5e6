#include "gateway/web.h"

/* The assembler takes the file in as it is; the paths are seen from the top of the tree, where the build runs. */
__asm__(".section .rodata\n"
        ".global web_index_html\n.global web_index_html_end\n"
        "web_index_html:\n.incbin \"gateway/web/index.html\"\nweb_index_html_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char web_index_html[], web_index_html_end[];

struct span web_board(void)
{
    return span_of(web_index_html, (size_t)(web_index_html_end - web_index_html));
}
