/* `ringcast-bench beside`: several shards with the load beside them on the same CPUs, against one shard with the load on a CPU of its own;
 * and the same of the floor, whose share in the difference is the machine's and not the gateway's. */
#ifndef BENCH_BESIDE_H
#define BENCH_BESIDE_H

int beside_main(int argc, char **argv);

#endif
