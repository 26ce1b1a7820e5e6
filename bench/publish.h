/* `ringcast-bench publish`: what the way in costs when nobody listens: one connection publishes as fast as the gateway takes it, by
 * WebSocket (many requests a message, with acks or without) or as lines over HTTP. The topic's numbering proves that each was taken. */
#ifndef BENCH_PUBLISH_H
#define BENCH_PUBLISH_H

int publish_main(int argc, char **argv);

#endif
