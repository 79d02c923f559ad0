/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call that receives, each once. */
#include "generator.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define LARGE (1 << 20)
#define MORE 100		/* so much longer is a message than the buffer that it is to fit */

/* A look at the data moves none of it, but it must have seen some. */
static long looked(long got)
{
	return got > 0 ? 0 : -1;
}

static long delivered(long got, size_t room)
{
	return got > (long)room ? (long)room : got;
}

static long do_read(struct ends *ends, size_t n)
{
	fill(ends, n);
	return read(ends->a, in, n);
}

static long do_readv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return readv(ends->a, split(in, n), 2);
}

static long do_preadv2(struct ends *ends, size_t n)
{
	fill(ends, n);
	return preadv2(ends->a, split(in, n), 2, -1, 0);
}

static long do_recv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return recv(ends->a, in, n, 0);
}

static long do_recvfrom(struct ends *ends, size_t n)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	fill(ends, n);
	return recvfrom(ends->a, in, n, 0, (struct sockaddr *)&from, &len);
}

static long do_recvmsg(struct ends *ends, size_t n)
{
	fill(ends, n);
	return recvmsg(ends->a, message(ends, in, n), 0);
}

static int receive_several(struct ends *ends, struct mmsghdr *messages, size_t n, int flags)
{
	for (int i = 0; i < 3; i++)
		messages[i] = (struct mmsghdr){{0}, 0};
	for (int i = 0; i < 3; i++) {
		static struct sockaddr_storage from[3];
		static struct iovec parts[3];

		parts[i] = (struct iovec){in + i * n, n};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		if (ends->to_len) {
			messages[i].msg_hdr.msg_name = &from[i];
			messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
	}
	return recvmmsg(ends->a, messages, 3, flags | MSG_WAITFORONE, NULL);
}

static long do_recvmmsg(struct ends *ends, size_t n)
{
	struct mmsghdr messages[3];
	long sum = 0;

	for (int i = 0; i < 3; i++)
		fill(ends, n);
	calls = receive_several(ends, messages, n, 0);
	for (int i = 0; i < calls; i++)
		sum += messages[i].msg_len;
	return calls < 0 ? -1 : sum;
}

static long do_recv_peek(struct ends *ends, size_t n)
{
	fill(ends, n);
	return looked(recv(ends->a, in, n, MSG_PEEK));
}

static long do_recvmsg_peek(struct ends *ends, size_t n)
{
	fill(ends, n);
	return looked(recvmsg(ends->a, message(ends, in, n), MSG_PEEK));
}

static long do_recvmmsg_peek(struct ends *ends, size_t n)
{
	struct mmsghdr messages[3];

	fill(ends, n);
	return looked(receive_several(ends, messages, n, MSG_PEEK));
}

/* What was seen is then taken: once. */
static long do_recv_peeked(struct ends *ends, size_t n)
{
	fill(ends, n);
	if (recv(ends->a, in, n, MSG_PEEK) < 0)
		return -1;
	return recv(ends->a, in, n, 0);
}

/* Without MSG_TRUNC the call returns what fitted. */
static long do_recv_short(struct ends *ends, size_t n)
{
	fill(ends, n + MORE);
	return recv(ends->a, in, n, 0);
}

/* With it, the length of the message, though no more than `n` bytes were delivered. */
static long do_recv_trunc(struct ends *ends, size_t n)
{
	fill(ends, n + MORE);
	return delivered(recv(ends->a, in, n, MSG_TRUNC), n);
}

static long do_recvmsg_trunc(struct ends *ends, size_t n)
{
	fill(ends, n + MORE);
	return delivered(recvmsg(ends->a, message(ends, in, n), MSG_TRUNC), n);
}

static long do_recvmmsg_trunc(struct ends *ends, size_t n)
{
	struct mmsghdr messages[3];
	long sum = 0;

	for (int i = 0; i < 3; i++)
		fill(ends, n + MORE);
	calls = receive_several(ends, messages, n, MSG_TRUNC);
	for (int i = 0; i < calls; i++)
		sum += delivered(messages[i].msg_len, n);
	return calls < 0 ? -1 : sum;
}

/* A message is thrown away: its length is returned, and none of it was delivered. */
static long do_recv_discard(struct ends *ends, size_t n)
{
	fill(ends, n);
	return recv(ends->a, NULL, 0, MSG_TRUNC) < 0 ? -1 : 0;
}

/* Does nothing but take bytes out of a stream, and they count. */
static long do_recv_discard_stream(struct ends *ends, size_t n)
{
	fill(ends, n);
	return recv(ends->a, NULL, n, MSG_TRUNC);
}

static long do_recv_waitall(struct ends *ends, size_t n)
{
	if (!is_stream(ends)) {
		fill(ends, n);
		return recv(ends->a, in, n, MSG_WAITALL);
	}
	/* The second half comes when the call waits already. */
	peer(FILL, n / 2);
	peer_begin(FILL_LATER, n - n / 2);
	long got = recv(ends->a, in, n, MSG_WAITALL);
	peer_end();
	return got;
}

static long do_recv_wait(struct ends *ends, size_t n)
{
	peer_begin(FILL_LATER, n);
	long got = recv(ends->a, in, n, 0);
	peer_end();
	return got;
}

static long do_recv_eagain(struct ends *ends, size_t n)
{
	return recv(ends->a, in, n, MSG_DONTWAIT);
}

static long do_recv_empty(struct ends *ends, size_t n)
{
	(void)n;
	fill(ends, 0);
	return recv(ends->a, in, 0, MSG_DONTWAIT);
}

static long do_recv_efault(struct ends *ends, size_t n)
{
	fill(ends, n);
	return recv(ends->a, (void *)8, n, 0);
}

/* The buffer ends where memory does: some may be delivered. */
static long do_recv_half_efault(struct ends *ends, size_t n)
{
	long page = sysconf(_SC_PAGESIZE), got;
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(at + page, page);
	fill(ends, 2 * n);
	got = recv(ends->a, at + page - n, 2 * n, 0);
	munmap(at, page);
	return got;
}

static long do_recv_urgent(struct ends *ends, size_t n)
{
	(void)n;
	peer(FILL_URGENT, 0);
	wait_readable(ends->a);
	return recv(ends->a, in, 1, MSG_OOB);
}

static long splice_in(struct ends *ends, size_t n, int wait)
{
	int ends_of_pipe[2];
	long got;

	if (pipe(ends_of_pipe))
		return -1;
	if (wait)
		peer_begin(FILL_LATER, n);
	else
		fill(ends, n);
	got = splice(ends->a, NULL, ends_of_pipe[1], NULL, n, 0);
	int number = errno;
	if (wait)
		peer_end();
	close(ends_of_pipe[0]);
	close(ends_of_pipe[1]);
	errno = number;
	return got;
}

static long do_splice(struct ends *ends, size_t n)
{
	return splice_in(ends, n, 0);
}

static long do_splice_wait(struct ends *ends, size_t n)
{
	return splice_in(ends, n, 1);
}

static long do_end_of_file(struct ends *ends, size_t n)
{
	peer(FINISH, 0);
	return read(ends->a, in, n);
}

const struct op recv_ops[] = {
	{"read", "recv", 0, BYTES, do_read},
	{"readv", "recv", 0, BYTES, do_readv},
	{"preadv2", "recv", 0, BYTES, do_preadv2},
	{"recv", "recv", 0, BYTES, do_recv},
	{"recvfrom", "recv", 0, BYTES, do_recvfrom},
	{"recvmsg", "recv", 0, BYTES, do_recvmsg},
	{"recvmmsg", "recv", 0, BYTES, do_recvmmsg},
	{"recv-peek", "recv", 0, NOTHING, do_recv_peek},
	{"recvmsg-peek", "recv", 0, NOTHING, do_recvmsg_peek},
	{"recvmmsg-peek", "recv", 0, NOTHING, do_recvmmsg_peek},
	{"recv-peeked", "recv", 0, BYTES, do_recv_peeked},
	{"recv-short", "recv", MESSAGES, BYTES, do_recv_short},
	{"recv-trunc", "recv", 0, BYTES, do_recv_trunc},
	{"recvmsg-trunc", "recv", 0, BYTES, do_recvmsg_trunc},
	{"recvmmsg-trunc", "recv", 0, BYTES, do_recvmmsg_trunc},
	{"recv-discard", "recv", MESSAGES, NOTHING, do_recv_discard},
	{"recv-discard", "recv", TCP, BYTES, do_recv_discard_stream},
	{"recv-waitall", "recv", 0, BYTES, do_recv_waitall},
	{"recv-wait", "recv", 0, BYTES, do_recv_wait},
	{"recv-eagain", "recv", 0, ERROR + EAGAIN, do_recv_eagain},
	{"recv-empty", "recv", EMPTY, NOTHING, do_recv_empty},
	{"recv-efault", "recv", 0, FAILURE, do_recv_efault},
	{"recv-half-efault", "recv", 0, WHATEVER, do_recv_half_efault},
	{"splice-from-socket", "recv", 0, BYTES, do_splice},
	{"splice-from-socket-wait", "recv", 0, BYTES, do_splice_wait},
	{NULL, NULL, 0, 0, NULL},
};

/*
 * The last of a stream's operations: other calls stop at the mark that urgent data leaves, and
 * nothing at all can be received after the end.
 */
const struct op end_ops[] = {
	{"recv-oob", "recv", URGENT, BYTES, do_recv_urgent},
	{"read-end-of-file", "recv", STREAM, NOTHING, do_end_of_file},
	{NULL, NULL, 0, 0, NULL},
};
