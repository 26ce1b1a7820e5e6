/* `ringcast-bench slow`: readers that stand still or crawl, what they cost the others, and what they cost in memory over time. */
#ifndef BENCH_SLOW_H
#define BENCH_SLOW_H

int slow_main(int argc, char **argv);

#endif
