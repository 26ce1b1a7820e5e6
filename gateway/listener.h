/* The listener: where connections come from. Options set here are inherited by all of them. */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct listener {
    int  descriptor;
    bool loopback; /* nobody from outside can reach it */
    int  family;   /* AF_INET or AF_INET6 */
};

/* Binds and listens at "host:port" or "[host]:port". TCP_NODELAY and TCP_NOTSENT_LOWAT (`backlog_bytes`) are set on it, so that
 * a stuck peer can't hide behind megabytes of kernel memory (MEASURED.md, taught 4). Several listeners of this process share
 * the port (SO_REUSEPORT); the first one makes sure that no other process has it, which would silently take half of the clients.
 * 0, or -1 with a plain sentence. */
int  listener_open(struct listener *listener, const char *address, bool first, uint32_t backlog_bytes, char *why, int why_size);
/* Takes over a socket that listens already; the same options are set. The descriptor stays the caller's. 0, or -1 with a plain sentence. */
int  listener_adopt(struct listener *listener, int descriptor, uint32_t backlog_bytes, char *why, int why_size);
void listener_close(struct listener *listener);
/* Whether it is written as one: host:port or [host]:port, with a port from 1 to 65535. */
bool listener_address_valid(const char *address);
/* The port of one that is valid, and of a socket that is bound (0: it has none). */
uint16_t listener_address_port(const char *address);
uint16_t listener_port(int descriptor);

#endif
