/* The pages that are part of the binary. */
#ifndef GATEWAY_WEB_H
#define GATEWAY_WEB_H

#include "core/base/span.h"

struct span web_board(void);  /* gateway/web/index.html */
struct span web_client(void); /* gateway/web/ringcast.js */

#endif
