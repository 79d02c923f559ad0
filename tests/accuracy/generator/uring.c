/* SPDX-License-Identifier: Apache-2.0 */
/* Every request of io_uring that sends or receives. */
#include "generator.h"

#include "ring.h"

#include <sys/uio.h>
#include <unistd.h>

#define GROUP 1
#define BUFFERS 4
#define BUFFER_SIZE 256
#define ANY 7			/* user_data of what is waited for */
#define CANCEL 8

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
	if (ring_submit(&plain, &sqe))
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

static long do_recvmsg_trunc(struct ends *ends, size_t n)
{
	struct msghdr *header = message(ends, in, n);
	long got;

	fill(ends, n + 100);
	got = ring_flags(IORING_OP_RECVMSG, ends->a, header, 1, 0, MSG_TRUNC);
	return got > (long)n ? (long)n : got;
}

static long do_recvmsg_peek(struct ends *ends, size_t n)
{
	struct msghdr *header = message(ends, in, n);
	long got;

	fill(ends, n);
	got = ring_flags(IORING_OP_RECVMSG, ends->a, header, 1, 0, MSG_PEEK);
	return got > 0 ? 0 : -1;
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
	{"uring-recvmsg-trunc", "recv", 0, BYTES, do_recvmsg_trunc},
	{"uring-recvmsg-peek", "recv", 0, NOTHING, do_recvmsg_peek},
	{"uring-recv-async", "recv", 0, BYTES, do_recv_async},
	{"uring-recv-sqpoll", "recv", 0, BYTES, do_recv_sqpoll},
	{"uring-recv-poll", "recv", 0, BYTES, do_recv_poll},
	{"uring-splice-from-socket", "recv", 0, BYTES, do_splice_in},
	{"uring-recv-multishot", "recv", 0, BYTES, do_recv_multishot},
	{"uring-read-multishot", "recv", 0, BYTES, do_read_multishot},
	{NULL, NULL, 0, 0, NULL},
};
