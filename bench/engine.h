/* `ringcast-bench engine`: the pubsub engine without sockets. Shards publish, link, wake and cut ranges, each in a thread of
 * its own or taking turns in one; what one shard does is compared with what several do. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

int engine_main(int argc, char **argv);

#endif
