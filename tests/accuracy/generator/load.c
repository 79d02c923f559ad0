/* SPDX-License-Identifier: Apache-2.0 */
/* More threads than CPUs: what is preempted in the middle of an operation must be counted too. */
#include "generator.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 20
#define ROUNDS 1000		/* a send and a receive each: 40,000 operations in all */
#define BLOCKED 300
#define BLOCKED_STACK (64 << 10)
#define SIZE 64

struct tally {
	int fd;
	int send_first;
	long sent, sends, received, receives;
};

static int send_one(struct tally *tally)
{
	long got = send(tally->fd, out, SIZE, 0);

	if (got <= 0)
		return -1;
	tally->sent += got;
	tally->sends++;
	return 0;
}

static int receive_one(struct tally *tally)
{
	char data[SIZE];

	for (long had = 0; had < SIZE;) {
		long got = recv(tally->fd, data, SIZE - had, 0);

		if (got <= 0)
			return -1;
		tally->received += got;
		tally->receives++;
		had += got;
	}
	return 0;
}

/* Two threads to a pair of sockets, each waiting for the other: a switch at every operation. */
static void *play(void *argument)
{
	struct tally *tally = argument;

	for (int i = 0; i < ROUNDS; i++) {
		if (tally->send_first && send_one(tally))
			break;
		if (receive_one(tally))
			break;
		if (!tally->send_first && send_one(tally))
			break;
	}
	return NULL;
}

/* Sends and receives by itself, without waiting: switches come by preemption alone. */
static void *talk_to_itself(void *argument)
{
	struct tally *tally = argument, other = *tally;

	other.sent = other.sends = 0;
	other.fd = tally->send_first;	/* its own other end */
	for (int i = 0; i < ROUNDS; i++)
		if (send_one(tally) || receive_one(&other))
			break;
	tally->received = other.received;
	tally->receives = other.receives;
	return NULL;
}

static void report(const struct tally *tallies, int n)
{
	struct tally sum = {0};

	for (int i = 0; i < n; i++) {
		sum.sent += tallies[i].sent;
		sum.sends += tallies[i].sends;
		sum.received += tallies[i].received;
		sum.receives += tallies[i].receives;
	}
	moved(getpid(), "send", sum.sent, sum.sends);
	moved(getpid(), "recv", sum.received, sum.receives);
}

static int pair_of(int type, int fds[2])
{
	return type ? socketpair(AF_UNIX, type, 0, fds) : tcp_pair(AF_INET, fds);
}

static long ping_pong(int type)
{
	struct tally tallies[THREADS] = {0};
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i += 2) {
		int fds[2];

		if (pair_of(type, fds))
			return -1;
		tallies[i] = (struct tally){.fd = fds[0], .send_first = 1};
		tallies[i + 1] = (struct tally){.fd = fds[1]};
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, play, &tallies[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < THREADS; i++)
		close(tallies[i].fd);
	report(tallies, THREADS);
	return 0;
}

static long do_ping_pong_tcp(struct ends *ends, size_t n)
{
	(void)ends;
	(void)n;
	return ping_pong(0);
}

static long do_ping_pong_unix(struct ends *ends, size_t n)
{
	(void)ends;
	(void)n;
	return ping_pong(SOCK_DGRAM);
}

static long do_preempted(struct ends *ends, size_t n)
{
	struct tally tallies[THREADS] = {0};
	pthread_t threads[THREADS];

	(void)ends;
	(void)n;
	for (int i = 0; i < THREADS; i++) {
		int fds[2];

		if (tcp_pair(AF_INET, fds))
			return -1;
		tallies[i] = (struct tally){.fd = fds[0], .send_first = fds[1]};
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, talk_to_itself, &tallies[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		close(tallies[i].fd);
		close(tallies[i].send_first);
	}
	report(tallies, THREADS);
	return 0;
}

static void *wait_for_one(void *argument)
{
	receive_one(argument);
	return NULL;
}

/* All wait inside a call at once: a hook that keeps state for each needs room for all. */
static long do_blocked(struct ends *ends, size_t n)
{
	static struct tally tallies[BLOCKED];
	pthread_t threads[BLOCKED];
	pthread_attr_t small;
	int fds[2], started = 0;

	(void)ends;
	(void)n;
	memset(tallies, 0, sizeof(tallies));
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, BLOCKED_STACK);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		return -1;
	for (; started < BLOCKED; started++) {
		tallies[started].fd = fds[0];
		if (pthread_create(&threads[started], &small, wait_for_one, &tallies[started]))
			break;
	}
	usleep(200000);
	struct tally sender = {.fd = fds[1]};
	for (int i = 0; i < started; i++)
		send_one(&sender);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	close(fds[0]);
	close(fds[1]);
	moved(getpid(), "send", sender.sent, sender.sends);
	report(tallies, started);
	return 0;
}

const struct op load_ops[] = {
	{"20-threads-wait-tcp", "both", 0, NOTHING, do_ping_pong_tcp},
	{"20-threads-wait-unix", "both", 0, NOTHING, do_ping_pong_unix},
	{"20-threads-preempted", "both", 0, NOTHING, do_preempted},
	{"300-threads-blocked", "both", 0, NOTHING, do_blocked},
	{NULL, NULL, 0, 0, NULL},
};
