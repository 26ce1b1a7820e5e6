/* `ringcast-bench follow FILE`: subscribers that know the recording which a replay publishes, and check what reaches
 * them against it, row by row and byte for byte. Start it first, then the replay of the same file. */
#ifndef BENCH_FOLLOW_H
#define BENCH_FOLLOW_H

int follow_main(int argc, char **argv);

#endif
