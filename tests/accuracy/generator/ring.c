/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring by its bare system calls: its library is not everywhere. */
#include "generator.h"

#include "ring.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 8
#define SQPOLL_IDLE_MS 5	/* how long its thread spins: CPUs are for others, too */

struct ring {
	int fd;
	unsigned setup;		/* IORING_SETUP_* */
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct ring plain = {.fd = -1}, polled = {.fd = -1, .setup = IORING_SETUP_SQPOLL};

static void *map(int fd, size_t size, long offset)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

static int ring_open(struct ring *ring)
{
	struct io_uring_params p = {.flags = ring->setup, .sq_thread_idle = SQPOLL_IDLE_MS};
	char *sq, *cq;

	if (ring->fd >= 0)
		return 0;
	ring->fd = syscall(__NR_io_uring_setup, ENTRIES, &p);
	if (ring->fd < 0)
		return -1;
	sq = map(ring->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(ring->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	ring->sqes = map(ring->fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
	return 0;
}

int ring_submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned tail, index, flags = 0;

	if (ring_open(ring))
		return -1;
	tail = *ring->sq_tail;
	index = tail & *ring->sq_mask;
	ring->sqes[index] = *sqe;
	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (ring->setup & IORING_SETUP_SQPOLL)
		flags = IORING_ENTER_SQ_WAKEUP;
	return syscall(__NR_io_uring_enter, ring->fd, 1, 0, flags, NULL, 0) < 0 ? -1 : 0;
}

struct completion ring_wait(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	struct completion done;

	while (*ring->cq_head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		syscall(__NR_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	cqe = &ring->cqes[*ring->cq_head & *ring->cq_mask];
	done = (struct completion){cqe->res, cqe->flags, cqe->user_data};
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
	return done;
}

/* Does what `sqe` says and returns its result, like a system call. */
long ring_do(struct ring *ring, struct io_uring_sqe sqe)
{
	struct completion done;
	int more;
	long got;

	if (ring_submit(ring, &sqe))
		return -1;
	done = ring_wait(ring);
	got = done.res;
	/* A zero-copy send says a second time that it needs the data no more. */
	for (more = done.flags & IORING_CQE_F_MORE; more; more = done.flags & IORING_CQE_F_MORE)
		done = ring_wait(ring);
	if (got < 0) {
		errno = -got;
		return -1;
	}
	return got;
}

struct io_uring_sqe sqe_for(int opcode, int fd, const void *at, unsigned len)
{
	struct io_uring_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	sqe.opcode = opcode;
	sqe.fd = fd;
	sqe.addr = (unsigned long)at;
	sqe.len = len;
	return sqe;
}

long ring_one(struct ring *ring, int opcode, int fd, const void *at, unsigned len)
{
	return ring_do(ring, sqe_for(opcode, fd, at, len));
}

/* read and write look at the offset, and -1 is how to say that a socket has none. */
long ring_file(int opcode, int fd, const void *at, unsigned len)
{
	struct io_uring_sqe sqe = sqe_for(opcode, fd, at, len);

	sqe.off = -1;
	return ring_do(&plain, sqe);
}

long ring_flags(int opcode, int fd, void *at, unsigned len, int sqe_flags, int msg_flags)
{
	struct io_uring_sqe sqe = sqe_for(opcode, fd, at, len);

	sqe.flags = sqe_flags;
	sqe.msg_flags = msg_flags;
	return ring_do(&plain, sqe);
}
