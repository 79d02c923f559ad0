/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring and AIO, by their bare system calls: libraries for them are not everywhere. */
#include "generator.h"

#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of enum io_uring_op and others, in case the headers are older than the kernel. */
#define OP_SEND_ZC 47
#define OP_SENDMSG_ZC 48
#define OP_READ_MULTISHOT 49
#define RECV_MULTISHOT (1 << 1)

#define ENTRIES 8
#define SQPOLL_IDLE_MS 5	/* how long its thread spins: CPUs are for others, too */
#define GROUP 1
#define BUFFERS 4
#define BUFFER_SIZE 256
#define ANY 7			/* user_data of what is waited for */
#define CANCEL 8

struct ring {
	int fd;
	unsigned setup;		/* IORING_SETUP_* */
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static struct ring plain = {.fd = -1}, polled = {.fd = -1, .setup = IORING_SETUP_SQPOLL};

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

static int ring_submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned tail = *ring->sq_tail, index = tail & *ring->sq_mask, flags = 0;

	ring->sqes[index] = *sqe;
	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (ring->setup & IORING_SETUP_SQPOLL)
		flags = IORING_ENTER_SQ_WAKEUP;
	return syscall(__NR_io_uring_enter, ring->fd, 1, 0, flags, NULL, 0) < 0 ? -1 : 0;
}

/* What is of interest in a struct io_uring_cqe. */
struct completion {
	long res;
	unsigned flags;
	unsigned long user_data;
};

static struct completion ring_wait(struct ring *ring)
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
static long ring_do(struct ring *ring, struct io_uring_sqe sqe)
{
	struct completion done;
	int more;
	long got;

	if (ring_open(ring) || ring_submit(ring, &sqe))
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

static struct io_uring_sqe sqe_for(int opcode, int fd, const void *at, unsigned len)
{
	struct io_uring_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	sqe.opcode = opcode;
	sqe.fd = fd;
	sqe.addr = (unsigned long)at;
	sqe.len = len;
	return sqe;
}

static long ring_one(struct ring *ring, int opcode, int fd, const void *at, unsigned len)
{
	return ring_do(ring, sqe_for(opcode, fd, at, len));
}

/* read and write look at the offset, and -1 is how to say that a socket has none. */
static long ring_file(int opcode, int fd, const void *at, unsigned len)
{
	struct io_uring_sqe sqe = sqe_for(opcode, fd, at, len);

	sqe.off = -1;
	return ring_do(&plain, sqe);
}

static long ring_flags(int opcode, int fd, void *at, unsigned len, int sqe_flags, int msg_flags)
{
	struct io_uring_sqe sqe = sqe_for(opcode, fd, at, len);

	sqe.flags = sqe_flags;
	sqe.msg_flags = msg_flags;
	return ring_do(&plain, sqe);
}

static long do_send(struct ends *ends, size_t n)
{
	return ring_one(&plain, IORING_OP_SEND, ends->a, out, n);
}

static long do_sendmsg(struct ends *ends, size_t n)
{
	return ring_one(&plain, IORING_OP_SENDMSG, ends->a, message(ends, out, n), 1);
}

static long do_send_zc(struct ends *ends, size_t n)
{
	return ring_one(&plain, OP_SEND_ZC, ends->a, out, n);
}

static long do_sendmsg_zc(struct ends *ends, size_t n)
{
	return ring_one(&plain, OP_SENDMSG_ZC, ends->a, message(ends, out, n), 1);
}

static long do_write(struct ends *ends, size_t n)
{
	return ring_file(IORING_OP_WRITE, ends->a, out, n);
}

static long do_writev(struct ends *ends, size_t n)
{
	return ring_file(IORING_OP_WRITEV, ends->a, split(out, n), 2);
}

/* By a worker thread of the kernel, and by the thread that polls the submission queue. */
static long do_send_async(struct ends *ends, size_t n)
{
	return ring_flags(IORING_OP_SEND, ends->a, out, n, IOSQE_ASYNC, 0);
}

static long do_sendmsg_async(struct ends *ends, size_t n)
{
	return ring_flags(IORING_OP_SENDMSG, ends->a, message(ends, out, n), 1, IOSQE_ASYNC, 0);
}

static long do_send_sqpoll(struct ends *ends, size_t n)
{
	return ring_one(&polled, IORING_OP_SEND, ends->a, out, n);
}

/* There is no room at first: the kernel polls, and sends when there is. */
static long do_send_poll(struct ends *ends, size_t n)
{
	struct io_uring_sqe sqe = sqe_for(IORING_OP_SEND, ends->a, out, n);
	struct completion done;

	peer(STUFF, 0);
	if (ring_open(&plain) || ring_submit(&plain, &sqe))
		return -1;
	peer(DRAIN, 0);
	done = ring_wait(&plain);
	errno = -done.res;
	return done.res < 0 ? -1 : done.res;
}

static long do_splice_out(struct ends *ends, size_t n)
{
	struct io_uring_sqe sqe = sqe_for(IORING_OP_SPLICE, ends->a, NULL, n);
	int from[2];
	long got;

	if (pipe(from) || write(from[1], out, n) != (long)n)
		return -1;
	sqe.off = -1;
	sqe.splice_off_in = -1;
	sqe.splice_fd_in = from[0];
	got = ring_do(&plain, sqe);
	close(from[0]);
	close(from[1]);
	return got;
}

static long do_recv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_one(&plain, IORING_OP_RECV, ends->a, in, n);
}

static long do_recvmsg(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_one(&plain, IORING_OP_RECVMSG, ends->a, message(ends, in, n), 1);
}

static long do_read(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_file(IORING_OP_READ, ends->a, in, n);
}

static long do_readv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_file(IORING_OP_READV, ends->a, split(in, n), 2);
}

static long do_recv_peek(struct ends *ends, size_t n)
{
	long got;

	fill(ends, n);
	got = ring_flags(IORING_OP_RECV, ends->a, in, n, 0, MSG_PEEK);
	return got > 0 ? 0 : -1;
}

static long do_recv_trunc(struct ends *ends, size_t n)
{
	long got;

	fill(ends, n + 100);
	got = ring_flags(IORING_OP_RECV, ends->a, in, n, 0, MSG_TRUNC);
	return got > (long)n ? (long)n : got;
}

static long do_recv_async(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_flags(IORING_OP_RECV, ends->a, in, n, IOSQE_ASYNC, 0);
}

static long do_recv_sqpoll(struct ends *ends, size_t n)
{
	fill(ends, n);
	return ring_one(&polled, IORING_OP_RECV, ends->a, in, n);
}

static long do_recv_poll(struct ends *ends, size_t n)
{
	long got;

	peer_begin(FILL_LATER, n);
	got = ring_one(&plain, IORING_OP_RECV, ends->a, in, n);
	peer_end();
	return got;
}

static long do_splice_in(struct ends *ends, size_t n)
{
	struct io_uring_sqe sqe;
	int to[2];
	long got;

	if (pipe(to))
		return -1;
	sqe = sqe_for(IORING_OP_SPLICE, to[1], NULL, n);
	sqe.off = -1;
	sqe.splice_off_in = -1;
	sqe.splice_fd_in = ends->a;
	fill(ends, n);
	got = ring_do(&plain, sqe);
	close(to[0]);
	close(to[1]);
	return got;
}

/* One request, two messages; then it is cancelled. */
static long multishot(struct ends *ends, size_t n, int opcode, int ioprio)
{
	static unsigned char buffers[BUFFERS * BUFFER_SIZE];
	struct io_uring_sqe provide =
		sqe_for(IORING_OP_PROVIDE_BUFFERS, BUFFERS, buffers, n);
	struct io_uring_sqe want = sqe_for(opcode, ends->a, NULL, 0);
	struct io_uring_sqe cancel = sqe_for(IORING_OP_ASYNC_CANCEL, -1, NULL, 0);
	struct completion done;
	long sum = 0, result = 0;
	int left = 1;		/* requests that are under way */

	provide.buf_group = GROUP;
	if (ring_do(&plain, provide) < 0)
		return -1;
	want.buf_group = GROUP;
	want.ioprio = ioprio;
	want.flags = IOSQE_BUFFER_SELECT;
	want.user_data = ANY;
	if (opcode == OP_READ_MULTISHOT)
		want.off = -1;
	cancel.addr = ANY;
	cancel.user_data = CANCEL;
	if (ring_submit(&plain, &want))
		return -1;
	calls = 0;
	peer(FILL, n);
	peer(FILL, n);
	do {
		done = ring_wait(&plain);
		if (done.user_data == ANY && done.res > 0) {
			sum += done.res;
			if (++calls == 2) {
				if (ring_submit(&plain, &cancel))
					return -1;
				left++;
			}
		}
		if (done.user_data == CANCEL || !(done.flags & IORING_CQE_F_MORE))
			left--;
		if (done.user_data == ANY)
			result = done.res;
	} while (left);
	if (sum)
		return sum;
	errno = -result;
	return -1;
}

static long do_recv_multishot(struct ends *ends, size_t n)
{
	return multishot(ends, n, IORING_OP_RECV, RECV_MULTISHOT);
}

static long do_read_multishot(struct ends *ends, size_t n)
{
	return multishot(ends, n, OP_READ_MULTISHOT, 0);
}

const struct op uring_ops[] = {
	{"uring-send", "send", CONNECTED, BYTES, do_send},
	{"uring-sendmsg", "send", 0, BYTES, do_sendmsg},
	{"uring-send-zc", "send", CONNECTED, BYTES, do_send_zc},
	{"uring-sendmsg-zc", "send", 0, BYTES, do_sendmsg_zc},
	{"uring-write", "send", CONNECTED, BYTES, do_write},
	{"uring-writev", "send", CONNECTED, BYTES, do_writev},
	{"uring-send-async", "send", CONNECTED, BYTES, do_send_async},
	{"uring-sendmsg-async", "send", 0, BYTES, do_sendmsg_async},
	{"uring-send-sqpoll", "send", CONNECTED, BYTES, do_send_sqpoll},
	{"uring-send-poll", "send", CONNECTED | FILLS, BYTES, do_send_poll},
	{"uring-splice-to-socket", "send", CONNECTED, BYTES, do_splice_out},
	{"uring-recv", "recv", 0, BYTES, do_recv},
	{"uring-recvmsg", "recv", 0, BYTES, do_recvmsg},
	{"uring-read", "recv", 0, BYTES, do_read},
	{"uring-readv", "recv", 0, BYTES, do_readv},
	{"uring-recv-peek", "recv", 0, NOTHING, do_recv_peek},
	{"uring-recv-trunc", "recv", 0, BYTES, do_recv_trunc},
	{"uring-recv-async", "recv", 0, BYTES, do_recv_async},
	{"uring-recv-sqpoll", "recv", 0, BYTES, do_recv_sqpoll},
	{"uring-recv-poll", "recv", 0, BYTES, do_recv_poll},
	{"uring-splice-from-socket", "recv", 0, BYTES, do_splice_in},
	{"uring-recv-multishot", "recv", 0, BYTES, do_recv_multishot},
	{"uring-read-multishot", "recv", 0, BYTES, do_read_multishot},
	{NULL, NULL, 0, 0, NULL},
};

static long aio(int opcode, int fd, const void *at, size_t n)
{
	aio_context_t context = 0;
	struct iocb request = {.aio_fildes = fd, .aio_lio_opcode = opcode,
			       .aio_buf = (unsigned long)at, .aio_nbytes = n};
	struct iocb *list = &request;
	struct io_event event = {.res = -EIO};
	int number;

	if (syscall(__NR_io_setup, 1, &context))
		return -1;
	if (syscall(__NR_io_submit, context, 1, &list) == 1)
		syscall(__NR_io_getevents, context, 1, 1, &event, NULL);
	else
		event.res = -errno;
	number = event.res < 0 ? -event.res : 0;
	syscall(__NR_io_destroy, context);
	errno = number;
	return number ? -1 : event.res;
}

static long do_aio_pwrite(struct ends *ends, size_t n)
{
	return aio(IOCB_CMD_PWRITE, ends->a, out, n);
}

static long do_aio_pwritev(struct ends *ends, size_t n)
{
	return aio(IOCB_CMD_PWRITEV, ends->a, split(out, n), 2);
}

static long do_aio_pread(struct ends *ends, size_t n)
{
	fill(ends, n);
	return aio(IOCB_CMD_PREAD, ends->a, in, n);
}

static long do_aio_preadv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return aio(IOCB_CMD_PREADV, ends->a, split(in, n), 2);
}

const struct op aio_ops[] = {
	{"aio-pwrite", "send", CONNECTED, BYTES, do_aio_pwrite},
	{"aio-pwritev", "send", CONNECTED, BYTES, do_aio_pwritev},
	{"aio-pread", "recv", 0, BYTES, do_aio_pread},
	{"aio-preadv", "recv", 0, BYTES, do_aio_preadv},
	{NULL, NULL, 0, 0, NULL},
};
