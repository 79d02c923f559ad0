/* SPDX-License-Identifier: Apache-2.0 */
/* The peer: a second process that is not watched, and does all that must not be counted. */
#include "generator.h"

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* After so many ms without data a socket on loopback is empty. */
#define QUIET 3
/* TCP that had packets refused by a full buffer sends them again after seconds, once it has room. */
#define DRAIN_S 60
#define LATER_US 30000
#define DELAYED_ACK_US 50000	/* so long TCP may take to say that it has got data */
#define STREAM_FILL 3000

struct order {
	enum request request;
	long n;
};

static int orders = -1, answers = -1;
static unsigned char scrap[1 << 20];

static int readable(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, ms) > 0;
}

/* Whether there may be more later. */
static int drain(int fd)
{
	while (readable(fd, QUIET)) {
		long got = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);

		if (got <= 0)
			return got < 0 && errno == EAGAIN;
	}
	return 1;
}

/* Bytes of a stream that its other end has not got yet. */
static int on_its_way(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) ? 0 : bytes;
}

/* All that `a` has sent: what stays in its buffer would keep it from sending more. */
static void drain_way(const struct ends *ends)
{
	time_t until = time(NULL) + DRAIN_S;

	while (drain(ends->b) && is_stream(ends) && on_its_way(ends->a))
		if (time(NULL) > until)
			break;
}

static void sink(int fd, long n)
{
	while (n > 0) {
		long got = recv(fd, scrap, sizeof(scrap), 0);

		if (got <= 0)
			break;
		n -= got;
	}
}

/* Fills whatever there is; more room comes as the other end's kernel takes data over. */
static void stuff(int fd)
{
	int sent;

	do {
		sent = 0;
		for (size_t n = sizeof(scrap) / 16; n; n /= 16)
			while (send(fd, scrap, n, MSG_DONTWAIT) > 0)
				sent = 1;
		usleep(DELAYED_ACK_US);
	} while (sent);
}

/* Takes a connection from the listening `b` and reads it until its other end closes it. */
static void take(int listener)
{
	int fd = readable(listener, 2000) ? accept(listener, NULL, NULL) : -1;

	if (fd < 0)
		return;
	while (readable(fd, 2000) && recv(fd, scrap, sizeof(scrap), 0) > 0)
		;
	close(fd);
}

static void obey(const struct order *order, const struct ends *ends, int from)
{
	switch (order->request) {
	case FILL_LATER:
		usleep(LATER_US);
		/* fall through */
	case FILL:
		send(from, out, order->n, 0);
		break;
	case FILL_URGENT:
		send(from, out, 1, MSG_OOB);
		break;
	case STUFF:
		stuff(ends->a);
		break;
	case DRAIN:
		drain_way(ends);
		drain(ends->a);
		break;
	case SINK:
		sink(ends->b, order->n);
		break;
	case FINISH:
		shutdown(ends->b, SHUT_WR);
		break;
	case ACCEPT:
		take(ends->b);
		break;
	}
}

int peer_start(const struct family *family, struct ends *ends)
{
	int there[2], back[2], from = family->kind & ECHO ? ends->a : ends->b;
	struct order order;
	pid_t pid;

	if (pipe(there) || pipe(back))
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(there[1]);
		close(back[0]);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		while (read(there[0], &order, sizeof(order)) == sizeof(order)) {
			obey(&order, ends, from);
			if (write(back[1], "", 1) != 1)
				break;
		}
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	orders = there[1];
	answers = back[0];
	/* One that listens stays; else the end of file comes when the peer shuts its end down. */
	close(ends->b);
	return 0;
}

void peer_begin(enum request request, long n)
{
	struct order order = {request, n};

	if (write(orders, &order, sizeof(order)) != sizeof(order))
		exit(1);
}

void peer_end(void)
{
	char answer;

	if (read(answers, &answer, 1) != 1)
		exit(1);
}

void peer(enum request request, long n)
{
	peer_begin(request, n);
	peer_end();
}

void wait_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLPRI};

	poll(&poll_fd, 1, 500);
}

int is_stream(const struct ends *ends)
{
	int type = 0;
	socklen_t len = sizeof(type);

	getsockopt(ends->a, SOL_SOCKET, SO_TYPE, &type, &len);
	return type == SOCK_STREAM;
}

void fill(struct ends *ends, size_t n)
{
	peer(FILL, is_stream(ends) ? STREAM_FILL : (long)n);
	wait_readable(ends->a);
}
