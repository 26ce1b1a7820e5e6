/* Faults on purpose, at seeded random, in the builds for the sanitizers alone (RINGCAST_FAULTS; never in release or debug): memory that is
 * refused here, operations of the ring that fail in core/io/ring_faults.h. What is off costs nothing and does nothing.
 *
 *     FAULTS_SEED=n     which faults (1)
 *     FAULTS_MEMORY=n   one allocation of so many is refused; 0: none
 *     FAULTS_RING=n     one operation of so many fails; 0: none
 *     FAULTS_FATAL=1    also with errors that end a connection
 *     FAULTS_QUEUES=n   entries of the rings, so that both queues are full again and again; 0: as ever
 * malloc() and its kin of our own objects come here by the linker (--wrap); libraries keep theirs. Any thread, each with its own dice. */
#ifndef CORE_BASE_FAULTS_H
#define CORE_BASE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_setting { FAULTS_SEED, FAULTS_MEMORY, FAULTS_RING, FAULTS_FATAL, FAULTS_QUEUES, FAULTS_SETTINGS };

#ifdef RINGCAST_FAULTS
uint32_t faults_setting(enum fault_setting setting);
/* From now on this thread's allocations may be refused: what is set up before may end the start, and that is not the matter here.
 *   thread   a number of its own, so that the same seed throws the same dice */
void     faults_begin(uint32_t thread);
/* A number below `bound`, by this thread's dice. */
uint32_t faults_random(uint32_t bound);
#else
static inline void faults_begin(uint32_t thread) { (void)thread; }
#endif

#endif
