/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes belong to a process all its life, and to no other: exec, exits, numbers used again. */
#include "children.h"

#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int after_exec(int fd, long n)
{
	/* Its exit status says how much, because memory is not shared any more. */
	return send(fd, out, n, 0) == n ? 0 : 1;
}

static void child_executes(size_t n)
{
	char fd[16], size[16];
	char *arguments[] = {"generator", "--after-exec", fd, size, NULL};

	add(&shared->sent, send(fds[0], out, n, 0));
	snprintf(fd, sizeof(fd), "%d", fds[0]);
	snprintf(size, sizeof(size), "%zu", n);
	execv("/proc/self/exe", arguments);
	_exit(2);
}

static void *thread_executes(void *size)
{
	child_executes((size_t)size);
	return NULL;
}

/* The thread takes over the PID of the leader, which ends. */
static void child_executes_in_thread(size_t n)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_executes, (void *)n);
	pthread_join(thread, NULL);
}

static long executing(void (*body)(size_t n), size_t n)
{
	int status = 1;
	pid_t pid;

	if (prepare(0))
		return -1;
	pid = child(body, n);
	watch(pid);
	open_gate();
	waitpid(pid, &status, 0);
	tidy();
	if (status)
		return -1;
	moved(pid, "send", shared->sent + n, 2);
	return 0;
}

static long do_exec(struct ends *ends, size_t n)
{
	(void)ends;
	return executing(child_executes, n);
}

static long do_exec_in_thread(struct ends *ends, size_t n)
{
	(void)ends;
	return executing(child_executes_in_thread, n);
}

static void *thread_sends_last(void *size)
{
	usleep(20000);		/* the leader is gone by then */
	child_sends((size_t)size);
	_exit(0);
}

static void child_leader_ends(size_t n)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_sends_last, (void *)n);
	pthread_exit(NULL);
}

static long do_leader_ends(struct ends *ends, size_t n)
{
	long failed;

	(void)ends;
	if (prepare(0))
		return -1;
	failed = follow(child(child_leader_ends, n));
	tidy();
	return failed;
}

static void child_fills_and_exits(size_t n)
{
	static char much[1 << 18];

	close(fds[1]);
	add(&shared->sent, send(fds[0], out, n, 0));
	add(&shared->sent, send(fds[0], much, sizeof(much), MSG_DONTWAIT));
}

/* What a process that has ended sent is still on its way, and is received from nobody. */
static long do_exit_in_flight(struct ends *ends, size_t n)
{
	long failed, got, sum = 0;
	pid_t pid;

	(void)ends;
	if (prepare(0))
		return -1;
	pid = child(child_fills_and_exits, n);
	close(fds[0]);
	fds[0] = -1;
	failed = follow(pid);
	while ((got = recv(fds[1], in, sizeof(in), 0)) > 0)
		sum += got;
	moved(getpid(), "recv", sum, 1);
	tidy();
	return failed;
}

static void child_blocks(size_t n)
{
	child_sends(n);
	recv(fds[0], in, n, 0);		/* for ever */
}

static long do_killed(struct ends *ends, size_t n)
{
	pid_t pid;

	(void)ends;
	if (prepare(0))
		return -1;
	pid = child(child_blocks, n);
	watch(pid);
	open_gate();
	moved(getpid(), "recv", recv(fds[1], in, n, MSG_WAITALL), 1);
	usleep(10000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	moved(pid, "send", shared->sent, 1);
	tidy();
	return 0;
}

/* Another process is given the number of one that was watched and has ended. */
static long do_pid_reused(struct ends *ends, size_t n)
{
	struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid_size = 1};
	pid_t pid, again;
	long first;

	(void)ends;
	if (prepare(0))
		return -1;
	pid = child(child_sends, n);
	watch(pid);
	open_gate();
	waitpid(pid, NULL, 0);
	first = shared->sent;
	arguments.set_tid = (unsigned long)&pid;
	again = syscall(__NR_clone3, &arguments, sizeof(arguments));
	if (again == 0) {
		child_sends(n);
		_exit(0);
	}
	if (again < 0) {
		tidy();
		return -1;
	}
	waitpid(again, NULL, 0);
	moved(pid, "send", first, 1);
	tidy();
	return again == pid && shared->sent == 2 * first ? 0 : -1;
}

const struct op process_ops[] = {
	{"exec", "send", 0, NOTHING, do_exec},
	{"exec-in-thread", "send", 0, NOTHING, do_exec_in_thread},
	{"leader-ends-first", "send", 0, NOTHING, do_leader_ends},
	{"exit-in-flight", "both", 0, NOTHING, do_exit_in_flight},
	{"killed-in-recv", "both", 0, NOTHING, do_killed},
	{"pid-reused", "send", 0, NOTHING, do_pid_reused},
	{NULL, NULL, 0, 0, NULL},
};
