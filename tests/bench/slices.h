/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the workloads' programs are told what to do, and say what they did.
 *
 * They read lines "SLICES MICROSECONDS RATE" from stdin: make traffic for that many slices of
 * time, each so long, with RATE operations a second (0: as many as possible). Then they print a
 * line "OPS WALL_NS CPU_NS" a slice and a line "end". An operation is one send() or one recv().
 * They end with stdin.
 *
 * Commands come through pipes, because pipes are no sockets: all that is counted is the traffic.
 */
#include <inttypes.h>

#include "clock.h"

#define MOST_SLICES 100000
/* With a rate: what is due is sent once in so long. */
#define TICK_NS 1000000

/* What a program does over and over: `ops` operations a round. Between two looks at the clock it
 * makes `burst` rounds: at most some 200 microseconds, so that slices end in time. */
struct work {
	void (*rounds)(uint64_t count);
	unsigned ops, burst;
};

struct slice {
	uint64_t ops, wall, cpu;
};

static struct slice slices[MOST_SLICES];

static void run(const struct work *work, size_t count, uint64_t length, uint64_t rate)
{
	uint64_t start = now(CLOCK_MONOTONIC), last = start, done = 0;
	uint64_t cpu = now(CLOCK_THREAD_CPUTIME_ID);
	double rounds_a_ns = (double)rate / work->ops / 1e9;

	for (size_t i = 0; i < count; i++) {
		uint64_t end = start + (i + 1) * length, before = done, t, c;

		while ((t = now(CLOCK_MONOTONIC)) < end) {
			uint64_t due = rate ? (uint64_t)((double)(t - start) * rounds_a_ns)
					    : done + work->burst;

			work->rounds(due - done);
			done = due;
			if (rate)
				sleep_until(t + TICK_NS < end ? t + TICK_NS : end);
		}
		c = now(CLOCK_THREAD_CPUTIME_ID);
		slices[i] = (struct slice){work->ops * (done - before), t - last, c - cpu};
		last = t;
		cpu = c;
	}
}

/* Does what stdin says; the status to exit with. */
static int serve(const struct work *work)
{
	unsigned long count, length, rate;
	char line[128];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%lu %lu %lu", &count, &length, &rate) != 3 || !count ||
		    count > MOST_SLICES) {
			fprintf(stderr, "not SLICES MICROSECONDS RATE: %s", line);
			return 2;
		}
		run(work, count, length * 1000, rate);
		for (size_t i = 0; i < count; i++)
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", slices[i].ops,
			       slices[i].wall, slices[i].cpu);
		puts("end");
		fflush(stdout);
	}
	return 0;
}
