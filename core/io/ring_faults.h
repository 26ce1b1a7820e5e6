/* Operations that fail on purpose: see core/base/faults.h, which says how they are asked for. Some of what is staged is struck before the kernel
 * sees it: a send is cut short, anything else becomes an operation that does nothing and completes with an error in its place. So no byte
 * is taken or sent that nobody is told of. Its shard's thread only. */
#ifndef CORE_IO_RING_FAULTS_H
#define CORE_IO_RING_FAULTS_H

#include "core/io/ring.h"

#ifdef RINGCAST_FAULTS
/* May make the queues small. */
void ring_faults_size(struct ring_settings *settings);
/* From now on, and for this thread's memory too: what is found out about the kernel before is found out truly. */
void ring_faults_begin(struct ring *ring, uint32_t shard);
/* Strikes some of what is staged. Before each submit. */
void ring_faults_strike(struct ring *ring);
/* What was struck shows its error. */
void ring_faults_show(struct completion *completion);
#else
static inline void ring_faults_size(struct ring_settings *settings) { (void)settings; }
static inline void ring_faults_begin(struct ring *ring, uint32_t shard) { (void)ring, (void)shard; }
static inline void ring_faults_strike(struct ring *ring) { (void)ring; }
static inline void ring_faults_show(struct completion *completion) { (void)completion; }
#endif

#endif
