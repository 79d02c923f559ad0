/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worst case for a watcher of sockets: 64-byte datagrams between two connected UDP sockets on
 * loopback, sent and received by one thread. Hardly a system call does less for its process, so
 * what watching costs shows nowhere more.
 *
 * Reads lines "SLICES MICROSECONDS RATE" from stdin: make traffic for that many slices of time,
 * each so long, with RATE operations a second (0: as many as possible). Then prints a line "OPS
 * WALL_NS CPU_NS" a slice and a line "end". An operation is one send() or one recv(). Ends with
 * stdin.
 *
 * Commands come through pipes, because pipes are no sockets: all that is counted is the traffic.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define BYTES 64
#define MOST_SLICES 100000
/* Pairs between two looks at the clock: at most some 200 microseconds, so slices end in time. */
#define BURST 64
/* With a rate: what is due is sent once in so long. */
#define TICK_NS 1000000

struct slice {
	uint64_t ops, wall, cpu;
};

static struct slice slices[MOST_SLICES];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t when)
{
	struct timespec t = {(time_t)(when / 1000000000), (long)(when % 1000000000)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int udp_socket(struct sockaddr_in *own)
{
	/* A datagram that got lost must not stop the benchmark for good. */
	struct timeval patience = {2, 0};
	socklen_t size = sizeof(*own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(own, 0, sizeof(*own));
	own->sin_family = AF_INET;
	own->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)own, size) ||
	    getsockname(fd, (struct sockaddr *)own, &size) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("udp socket");
	return fd;
}

static void pairs(int from, int to, uint64_t count)
{
	char buffer[BYTES] = {0};

	while (count--) {
		if (send(from, buffer, BYTES, 0) != BYTES)
			die("send");
		if (recv(to, buffer, BYTES, 0) != BYTES)
			die("recv");
	}
}

static void run(int from, int to, size_t count, uint64_t length, uint64_t rate)
{
	uint64_t start = now(CLOCK_MONOTONIC), last = start, sent = 0;
	uint64_t cpu = now(CLOCK_THREAD_CPUTIME_ID);

	for (size_t i = 0; i < count; i++) {
		uint64_t end = start + (i + 1) * length, before = sent, t, c;

		while ((t = now(CLOCK_MONOTONIC)) < end) {
			uint64_t due = rate ? (uint64_t)((double)(t - start) * rate / 2e9) : sent + BURST;

			pairs(from, to, due - sent);
			sent = due;
			if (rate)
				sleep_until(t + TICK_NS < end ? t + TICK_NS : end);
		}
		c = now(CLOCK_THREAD_CPUTIME_ID);
		slices[i] = (struct slice){2 * (sent - before), t - last, c - cpu};
		last = t;
		cpu = c;
	}
}

int main(void)
{
	struct sockaddr_in a_name, b_name;
	int a = udp_socket(&a_name), b = udp_socket(&b_name);
	unsigned long count, length, rate;
	char line[128];

	if (connect(a, (struct sockaddr *)&b_name, sizeof(b_name)) ||
	    connect(b, (struct sockaddr *)&a_name, sizeof(a_name)))
		die("connect");
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%lu %lu %lu", &count, &length, &rate) != 3 || !count ||
		    count > MOST_SLICES) {
			fprintf(stderr, "not SLICES MICROSECONDS RATE: %s", line);
			return 2;
		}
		run(a, b, count, length * 1000, rate);
		for (size_t i = 0; i < count; i++)
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", slices[i].ops, slices[i].wall, slices[i].cpu);
		puts("end");
		fflush(stdout);
	}
	return 0;
}
