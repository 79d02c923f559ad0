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
#include <inttypes.h>

#include "udp.h"

#define MOST_SLICES 100000
/* Pairs between two looks at the clock: at most some 200 microseconds, so slices end in time. */
#define BURST 64
/* With a rate: what is due is sent once in so long. */
#define TICK_NS 1000000

struct slice {
	uint64_t ops, wall, cpu;
};

static struct slice slices[MOST_SLICES];

static void run(int from, int to, size_t count, uint64_t length, uint64_t rate)
{
	uint64_t start = now(CLOCK_MONOTONIC), last = start, sent = 0;
	uint64_t cpu = now(CLOCK_THREAD_CPUTIME_ID);

	for (size_t i = 0; i < count; i++) {
		uint64_t end = start + (i + 1) * length, before = sent, t, c;

		while ((t = now(CLOCK_MONOTONIC)) < end) {
			uint64_t due = rate ? (uint64_t)((double)(t - start) * rate / 2e9) : sent + BURST;

			exchange(from, to, due - sent);
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
	unsigned long count, length, rate;
	char line[128];
	int a, b;

	udp_pair(INADDR_LOOPBACK, &a, &b);
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
