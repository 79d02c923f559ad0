/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to io_uring. */
#ifndef NETIO_ACCURACY_RING_H
#define NETIO_ACCURACY_RING_H

#include <linux/io_uring.h>

/* Of enum io_uring_op and others, in case the headers are older than the kernel. */
#define OP_SEND_ZC 47
#define OP_SENDMSG_ZC 48
#define OP_READ_MULTISHOT 49
#define RECV_MULTISHOT (1 << 1)

/* What is of interest in a struct io_uring_cqe. */
struct completion {
	long res;
	unsigned flags;
	unsigned long user_data;
};

struct ring;
extern struct ring plain;	/* one for everybody */
extern struct ring polled;	/* one with a thread of the kernel that looks for requests */

struct io_uring_sqe sqe_for(int opcode, int fd, const void *at, unsigned len);
/* Errors of all these are like those of system calls: -1 and errno. */
int ring_submit(struct ring *ring, const struct io_uring_sqe *sqe);
struct completion ring_wait(struct ring *ring);
long ring_do(struct ring *ring, struct io_uring_sqe sqe);	/* submit, wait; the result */
long ring_one(struct ring *ring, int opcode, int fd, const void *at, unsigned len);
long ring_file(int opcode, int fd, const void *at, unsigned len);
long ring_flags(int opcode, int fd, void *at, unsigned len, int sqe_flags, int msg_flags);

#endif
