/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are gone in a moment, chosen by their name: of each the first operation is its
 * only one, and whatever call that is, it is counted.
 */
#include "children.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "netio-chosen"
#define ROUNDS 3

static long first_send(size_t n)
{
	return send(fds[0], out, n, 0);
}

static long first_sendmsg(size_t n)
{
	struct msghdr header = {.msg_iov = split(out, n), .msg_iovlen = 2};

	return sendmsg(fds[0], &header, 0);
}

static long first_sendmmsg(size_t n)
{
	struct mmsghdr one = {.msg_hdr = {.msg_iov = split(out, n), .msg_iovlen = 2}};

	return sendmmsg(fds[0], &one, 1, 0) == 1 ? one.msg_len : -1;
}

static long first_write(size_t n)
{
	return write(fds[0], out, n);
}

static long first_writev(size_t n)
{
	return writev(fds[0], split(out, n), 2);
}

static long first_sendfile(size_t n)
{
	off_t from = 0;

	return sendfile(fds[0], memory_file(), &from, n);
}

static long first_recv(size_t n)
{
	return recv(fds[0], in, n, 0);
}

static long first_recvmsg(size_t n)
{
	struct msghdr header = {.msg_iov = split(in, n), .msg_iovlen = 2};

	return recvmsg(fds[0], &header, 0);
}

static long first_recvmmsg(size_t n)
{
	struct mmsghdr one = {.msg_hdr = {.msg_iov = split(in, n), .msg_iovlen = 2}};

	return recvmmsg(fds[0], &one, 1, 0, NULL) == 1 ? one.msg_len : -1;
}

static long first_read(size_t n)
{
	return read(fds[0], in, n);
}

static long first_readv(size_t n)
{
	return readv(fds[0], split(in, n), 2);
}

static long first_splice(size_t n)
{
	int ends[2];

	return pipe(ends) ? -1 : splice(fds[0], NULL, ends[1], NULL, n, 0);
}

static long first_zerocopy(size_t n)
{
	(void)n;
	return zerocopy_take(fds[0]);
}

static long (*const sends[])(size_t n) = {
	first_send, first_sendmsg, first_sendmmsg, first_write, first_writev, first_sendfile, NULL,
};
static long (*const receives[])(size_t n) = {
	first_recv, first_recvmsg, first_recvmmsg, first_read, first_readv, first_splice, NULL,
};
static long (*const zerocopies[])(size_t n) = {first_zerocopy, NULL};

/* A child of that name that makes one call; what it returned. */
static long one(long (*call)(size_t n), const char *dir, size_t n)
{
	pid_t pid;

	shared->sent = -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, NAME);
		shared->sent = call(n);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return -1;
	moved(pid, dir, shared->sent, 1);
	return shared->sent;
}

static long senders(size_t n)
{
	for (long (*const *call)(size_t n) = sends; *call; call++) {
		long got = one(*call, "send", n);

		if (got <= 0)
			return -1;
		moved(getpid(), "recv", recv(fds[1], in, got, MSG_WAITALL), 1);
	}
	return 0;
}

static long receivers(long (*const calls[])(size_t n), size_t available, size_t n)
{
	for (long (*const *call)(size_t n) = calls; *call; call++) {
		moved(getpid(), "send", send(fds[1], out, available, 0), 1);
		wait_readable(fds[0]);
		if (one(*call, "recv", n) <= 0)
			return -1;
	}
	return 0;
}

static long do_chosen(struct ends *ends, size_t n)
{
	long failed = 0;

	(void)ends;
	if (prepare(0))
		return -1;
	choose(NAME);
	for (int i = 0; !failed && i < ROUNDS; i++)
		failed = senders(n) || receivers(receives, n, n);
	tidy();
	return failed ? -1 : 0;
}

static long do_chosen_zerocopy(struct ends *ends, size_t n)
{
	long failed;

	(void)ends;
	if (prepare(0))
		return -1;
	choose(NAME);
	failed = receivers(zerocopies, 40000, n);
	tidy();
	return failed;
}

const struct op chosen_ops[] = {
	{"chosen-by-name", "both", 0, NOTHING, do_chosen},
	{"chosen-by-name-zerocopy", "both", 0, NOTHING, do_chosen_zerocopy},
	{NULL, NULL, 0, 0, NULL},
};
