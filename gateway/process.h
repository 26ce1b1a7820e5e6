/* Process: what the kernel says of this process as a whole. Any thread. */
#ifndef GATEWAY_PROCESS_H
#define GATEWAY_PROCESS_H

#include <stdint.h>

/* Resident memory in bytes, from /proc; 0 where that can't be read. */
uint64_t process_resident_bytes(void);
/* Processor time used by all its threads. */
uint64_t process_cpu_us(void);

#endif
