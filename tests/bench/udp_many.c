/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same traffic as udp_pairs.c, spread over many processes and connections: what grows with
 * their number shows, because nothing else changes.
 *
 *     udp_many PROCESSES PAIRS TURN_MICROSECONDS
 *
 * So many processes with so many pairs of connected UDP sockets each. Time is divided into turns;
 * each turn belongs to the next process, which makes all that is due in it and goes round its own
 * pairs. So however many there are, traffic comes in the same portions at the same times, and the
 * same number of processes is woken.
 *
 * Prints "ready" and a line with the PIDs. Then reads lines and answers as udp_pairs.c does, but a
 * rate must be given, and there is one line "OPS WALL_NS CPU_NS" for all slices together.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "udp.h"

/* Far fewer than an address has free ports. */
#define PAIRS_AN_ADDRESS 1000
#define MOST 100000
#define SPARE_DESCRIPTORS 64

struct order {
	uint64_t start, length, rate;
};

/* What a process did; shared with the first one. */
struct done {
	uint64_t ops, cpu;
};

struct pair {
	int a, b;
};

static unsigned long processes, per_process, turn_ns;

static unsigned long positive(const char *text)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (!value || value > MOST) {
		fprintf(stderr, "not a number from 1 to %d: %s\n", MOST, text);
		exit(2);
	}
	return value;
}

/* 127.0.0.1 has no ports for 50,000 sockets; the rest of 127.0.0.0/8 is loopback as well. */
static uint32_t address_of(unsigned long process, unsigned long pair)
{
	return INADDR_LOOPBACK + 1 + (uint32_t)((process * per_process + pair) / PAIRS_AN_ADDRESS);
}

static void permit_descriptors(unsigned long count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	if (limit.rlim_cur >= count)
		return;
	limit.rlim_cur = count;
	if (limit.rlim_max < count)
		limit.rlim_max = count;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
}

static void take_turns(struct pair *pairs, uint64_t own, const struct order *order,
		       struct done *done)
{
	uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID), turns = order->length / turn_ns, sent = 0;
	double a_turn = (double)order->rate * turn_ns / 2e9;
	static uint64_t next;

	for (uint64_t turn = own; turn < turns; turn += processes) {
		uint64_t due = (uint64_t)((turn + 1) * a_turn) - (uint64_t)(turn * a_turn);

		sleep_until(order->start + turn * turn_ns);
		for (sent += due; due; due--) {
			struct pair *pair = &pairs[next++ % per_process];

			exchange(pair->a, pair->b, 1);
		}
	}
	sleep_until(order->start + order->length);
	*done = (struct done){2 * sent, now(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

/* Never returns. */
static void member(uint64_t own, pid_t parent, int orders, int answers, struct done *done)
{
	struct pair *pairs = calloc(per_process, sizeof(*pairs));
	struct order order;

	/* A turn that is late by the timer's slack of 50 microseconds would run into the next. */
	if (!pairs || prctl(PR_SET_TIMERSLACK, 1) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		die("a process");
	if (getppid() != parent)
		exit(1);
	for (unsigned long i = 0; i < per_process; i++)
		udp_pair(address_of(own, i), &pairs[i].a, &pairs[i].b);
	do {
		if (write(answers, "", 1) != 1)
			die("answer");
		if (read(orders, &order, sizeof(order)) != sizeof(order))
			exit(0);
		take_turns(pairs, own, &order, done);
	} while (1);
}

/* While it waits for answers, one that never comes would keep it waiting for good. */
static void bereaved(int signal)
{
	static const char text[] = "a process ended early\n";

	(void)signal;
	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

static void await_all(int answers)
{
	char byte;

	for (unsigned long i = 0; i < processes; i++)
		if (read(answers, &byte, 1) != 1)
			die("answers");
}

static void run(const int *orders, int answers, uint64_t length, uint64_t rate,
		const struct done *done)
{
	/* Later than now, so that all have read it when the first turn comes. */
	struct order order = {now(CLOCK_MONOTONIC) + 50000000, length, rate};
	uint64_t ops = 0, cpu = 0;

	for (unsigned long i = 0; i < processes; i++)
		if (write(orders[i], &order, sizeof(order)) != sizeof(order))
			die("order");
	await_all(answers);
	for (unsigned long i = 0; i < processes; i++) {
		ops += done[i].ops;
		cpu += done[i].cpu;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\nend\n", ops, length, cpu);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned long count, length, rate;
	pid_t self = getpid();
	int *orders, answers[2];
	struct done *done;
	char line[128];
	pid_t *pids;

	if (argc != 4) {
		fputs("usage: udp_many PROCESSES PAIRS TURN_MICROSECONDS\n", stderr);
		return 2;
	}
	processes = positive(argv[1]);
	per_process = positive(argv[2]);
	turn_ns = positive(argv[3]) * 1000;
	permit_descriptors((per_process > processes ? per_process : processes) * 2 + SPARE_DESCRIPTORS);
	done = mmap(NULL, processes * sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	orders = calloc(processes, sizeof(*orders));
	pids = calloc(processes, sizeof(*pids));
	if (done == MAP_FAILED || !orders || !pids || pipe(answers))
		die("udp_many");
	signal(SIGCHLD, bereaved);
	for (unsigned long i = 0; i < processes; i++) {
		int ends[2];

		if (pipe(ends) || (pids[i] = fork()) < 0)
			die("fork");
		if (!pids[i])
			member(i, self, ends[0], answers[1], &done[i]);
		close(ends[0]);
		orders[i] = ends[1];
	}
	await_all(answers[0]);
	puts("ready");
	for (unsigned long i = 0; i < processes; i++)
		printf("%d%c", pids[i], i + 1 < processes ? ' ' : '\n');
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%lu %lu %lu", &count, &length, &rate) != 3 || !rate) {
			fprintf(stderr, "not SLICES MICROSECONDS RATE: %s", line);
			return 2;
		}
		run(orders, answers[0], count * length * 1000, rate, done);
	}
	return 0;
}
