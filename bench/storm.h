/* `ringcast-bench storm`: many clients lose their connection at once and come back to resume, while others go on reading. */
#ifndef BENCH_STORM_H
#define BENCH_STORM_H

int storm_main(int argc, char **argv);

#endif
