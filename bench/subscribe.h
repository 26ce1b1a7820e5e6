/* ringcast-bench subscribe: very many subscriptions, acknowledged and checked one by one. */
#ifndef BENCH_SUBSCRIBE_H
#define BENCH_SUBSCRIBE_H

int subscribe_main(int argc, char **argv);

#endif
