/* `ringcast tail URL TOPIC…`: a subscriber for the terminal. One update a line on stdout, byte for byte as received;
 * all else that the gateway says goes to stderr. It reconnects with backoff and resumes where it was. */
#ifndef GATEWAY_TAIL_H
#define GATEWAY_TAIL_H

/* argv[0] is "tail". Returns the program's exit status: 0 after --count updates or SIGINT, 1 where it can't go on, 2
 * for a command line that makes no sense. The main thread, with no other thread running. */
int tail_main(int argc, char **argv);

#endif
