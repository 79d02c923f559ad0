/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call that sends, each once. */
#include "generator.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define TAIL 10			/* bytes in the second part of what goes in two parts */
#define HUGE_SEND (64 << 20)	/* more than any socket buffer takes */
#define LARGE (1 << 20)

struct iovec *split(void *at, size_t n)
{
	static struct iovec parts[2];

	parts[0] = (struct iovec){at, n - TAIL};
	parts[1] = (struct iovec){(char *)at + n - TAIL, TAIL};
	return parts;
}

struct msghdr *message(struct ends *ends, void *at, size_t n)
{
	static struct sockaddr_storage from;
	static struct msghdr header;

	memset(&header, 0, sizeof(header));
	header.msg_iov = split(at, n);
	header.msg_iovlen = 2;
	if (ends->to_len) {
		/* Whoever receives asks for the sender. */
		header.msg_name = at == out ? &ends->to : &from;
		header.msg_namelen = at == out ? ends->to_len : sizeof(from);
	}
	return &header;
}

int memory_file(void)
{
	int fd = memfd_create("accuracy", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, out, sizeof(out)) != sizeof(out))
		note("short file");
	return fd;
}

/* Closes two descriptors, without losing the errno of what came before. */
static long closing(long got, int one, int other)
{
	int number = errno;

	close(one);
	close(other);
	errno = number;
	return got;
}

static long do_write(struct ends *ends, size_t n)
{
	return write(ends->a, out, n);
}

static long do_writev(struct ends *ends, size_t n)
{
	return writev(ends->a, split(out, n), 2);
}

static long do_pwritev2(struct ends *ends, size_t n)
{
	return pwritev2(ends->a, split(out, n), 2, -1, 0);
}

static long do_send(struct ends *ends, size_t n)
{
	return send(ends->a, out, n, 0);
}

static long do_sendto(struct ends *ends, size_t n)
{
	struct sockaddr *to = ends->to_len ? (struct sockaddr *)&ends->to : NULL;

	return sendto(ends->a, out, n, 0, to, ends->to_len);
}

static long do_sendmsg(struct ends *ends, size_t n)
{
	return sendmsg(ends->a, message(ends, out, n), 0);
}

/* Three: from the second on to one address, the kernel takes a shorter way. */
static long do_sendmmsg(struct ends *ends, size_t n)
{
	struct mmsghdr messages[3];
	long sum = 0;

	for (int i = 0; i < 3; i++)
		messages[i] = (struct mmsghdr){*message(ends, out, n), 0};
	calls = sendmmsg(ends->a, messages, 3, 0);
	for (int i = 0; i < calls; i++)
		sum += messages[i].msg_len;
	return calls < 0 ? -1 : sum;
}

static long do_sendfile(struct ends *ends, size_t n)
{
	int file = memory_file();
	off_t offset = 0;

	return closing(sendfile(ends->a, file, &offset, 5000 + n), file, -1);
}

static long do_splice(struct ends *ends, size_t n)
{
	int ends_of_pipe[2];

	if (pipe(ends_of_pipe) || write(ends_of_pipe[1], out, n) != (long)n)
		return -1;
	return closing(splice(ends_of_pipe[0], NULL, ends->a, NULL, n, 0), ends_of_pipe[0],
		       ends_of_pipe[1]);
}

static long do_vmsplice(struct ends *ends, size_t n)
{
	struct iovec part = {out, n};
	int ends_of_pipe[2];

	if (pipe(ends_of_pipe) || vmsplice(ends_of_pipe[1], &part, 1, 0) != (long)n)
		return -1;
	return closing(splice(ends_of_pipe[0], NULL, ends->a, NULL, n, 0), ends_of_pipe[0],
		       ends_of_pipe[1]);
}

static long do_tee(struct ends *ends, size_t n)
{
	int from[2], to[2];

	if (pipe(from) || pipe(to) || write(from[1], out, n) != (long)n ||
	    tee(from[0], to[1], n, 0) != (long)n)
		return -1;
	close(from[0]);
	close(from[1]);
	return closing(splice(to[0], NULL, ends->a, NULL, n, 0), to[0], to[1]);
}

/* Two calls that make one datagram, or one segment. */
static long do_send_more(struct ends *ends, size_t n)
{
	long first = send(ends->a, out, n, MSG_MORE), second = send(ends->a, out, n, 0);

	calls = 2;
	return first < 0 || second < 0 ? -1 : first + second;
}

static long do_send_large(struct ends *ends, size_t n)
{
	static char data[LARGE];
	long got;

	(void)n;
	peer_begin(SINK, sizeof(data));
	got = send(ends->a, data, sizeof(data), 0);
	peer_end();
	return got;
}

static void *huge(void)
{
	/* Never touched: all of it is the page of zeros. */
	return mmap(NULL, HUGE_SEND, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static long partial(struct ends *ends, int flags)
{
	void *data = huge();
	long got = send(ends->a, data, HUGE_SEND, flags);

	munmap(data, HUGE_SEND);
	if (got == HUGE_SEND)
		note("took it all: not partial");
	return got;
}

static long do_send_partial(struct ends *ends, size_t n)
{
	(void)n;
	return partial(ends, MSG_DONTWAIT);
}

/* One that waits for room, and gives up in the middle. */
static long do_send_timeout(struct ends *ends, size_t n)
{
	struct timeval limit = {0, 50000}, none = {0, 0};
	long got;
	int number;

	(void)n;
	setsockopt(ends->a, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	got = partial(ends, 0);
	number = errno;
	setsockopt(ends->a, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	errno = number;
	return got;
}

static long do_send_eagain(struct ends *ends, size_t n)
{
	/* On a slow machine the kernel may make room a moment after there was none. */
	for (int i = 0; i < 50; i++) {
		long got;

		peer(STUFF, 0);
		got = send(ends->a, out, n, MSG_DONTWAIT);
		if (got < 0)
			return got;
		moved(getpid(), "send", got, 1);
	}
	return 0;
}

static long do_send_empty(struct ends *ends, size_t n)
{
	(void)n;
	return send(ends->a, out, 0, 0);
}

static long do_send_efault(struct ends *ends, size_t n)
{
	return send(ends->a, (void *)8, n, 0);
}

/* The data ends where memory does: some of it may be sent. */
static long do_send_half_efault(struct ends *ends, size_t n)
{
	long page = sysconf(_SC_PAGESIZE), got;
	char *at = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(at + page, page);
	got = send(ends->a, at + page - n, 2 * n, 0);
	munmap(at, page);
	return got;
}

static long do_send_urgent(struct ends *ends, size_t n)
{
	(void)n;
	return send(ends->a, out, 1, MSG_OOB);
}

/* And the notification that the kernel needs the data no more: an error queue carries no data. */
static long do_send_zerocopy(struct ends *ends, size_t n)
{
	char control[200];
	struct msghdr header = {.msg_control = control, .msg_controllen = sizeof(control)};
	int one = 1;
	long got;

	if (setsockopt(ends->a, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return -1;
	got = send(ends->a, out, n, MSG_ZEROCOPY);
	if (got > 0) {
		peer(DRAIN, 0);
		if (recvmsg(ends->a, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			note("no notification: %s", strerror(errno));
	}
	return got;
}

const struct op send_ops[] = {
	{"write", "send", CONNECTED, BYTES, do_write},
	{"writev", "send", CONNECTED, BYTES, do_writev},
	{"pwritev2", "send", CONNECTED, BYTES, do_pwritev2},
	{"send", "send", CONNECTED, BYTES, do_send},
	{"sendto", "send", 0, BYTES, do_sendto},
	{"sendmsg", "send", 0, BYTES, do_sendmsg},
	{"sendmmsg", "send", 0, BYTES, do_sendmmsg},
	{"sendfile", "send", CONNECTED, BYTES, do_sendfile},
	{"splice-to-socket", "send", CONNECTED, BYTES, do_splice},
	{"vmsplice-splice", "send", CONNECTED, BYTES, do_vmsplice},
	{"tee-splice", "send", CONNECTED, BYTES, do_tee},
	{"send-more", "send", CONNECTED | EMPTY, BYTES, do_send_more},
	{"send-large", "send", CONNECTED | FILLS, BYTES, do_send_large},
	{"send-partial", "send", CONNECTED | FILLS, BYTES, do_send_partial},
	{"send-timeout", "send", CONNECTED | FILLS, BYTES, do_send_timeout},
	{"send-eagain", "send", CONNECTED | FILLS, ERROR + EAGAIN, do_send_eagain},
	{"send-empty", "send", CONNECTED | EMPTY, NOTHING, do_send_empty},
	{"send-efault", "send", CONNECTED, FAILURE, do_send_efault},
	{"send-half-efault", "send", CONNECTED, WHATEVER, do_send_half_efault},
	{"send-oob", "send", URGENT, BYTES, do_send_urgent},
	{"send-zerocopy", "send", CONNECTED | ZEROCOPY, BYTES, do_send_zerocopy},
	{NULL, NULL, 0, 0, NULL},
};
