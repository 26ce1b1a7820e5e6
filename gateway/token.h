/* `ringcast token`: makes keys and tokens, for tests and small installations. */
#ifndef GATEWAY_TOKEN_H
#define GATEWAY_TOKEN_H

/* argv begins with "token". Returns the exit status. */
int token_main(int argc, char **argv);

#endif
