/* `ringcast-bench floor`: what the machine charges for the bytes alone. A sender without any protocol, on a ring with
 * the gateway's own flags, and the sweeping reader, each on its CPU; the gateway is measured against this. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

int floor_main(int argc, char **argv);

#endif
