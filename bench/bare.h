/* `ringcast-bench bare`: the least that a fan-out can be, to measure delays against: one thread that receives a message and sends it on in a
 * bare loop of sends, 256 an enter. It knows no topics, no limits and no slow readers: a short send ends it. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

int bare_main(int argc, char **argv);

#endif
