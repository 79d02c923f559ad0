/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child waits at a gate until the driver watches it, and leaves what its calls returned in
 * memory that is shared with the generator, so that it may end in any way.
 */
#ifndef NETIO_ACCURACY_CHILDREN_H
#define NETIO_ACCURACY_CHILDREN_H

#include "generator.h"

struct shared {
	long sent, received;	/* bytes, as the child's calls returned */
	pid_t pid;
};

extern struct shared *shared;
extern int fds[2];		/* a pair of sockets that both processes have */

int prepare(int unix_type);	/* 0: the pair is one of TCP */
void tidy(void);
void open_gate(void);
/* A child that begins when the gate opens, and dies with its parent. */
pid_t child(void (*body)(size_t n), size_t n);
/* Has it watched, lets it run and end, tells what it moved. */
long follow(pid_t pid);
void add(long *sum, long got);	/* unless it is an error */
void child_sends(size_t n);

#endif
