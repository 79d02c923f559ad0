/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes belong to the process that moved them: threads, children, descriptors that travel,
 * processes that end, other namespaces.
 *
 * A child waits at a gate until the driver watches it, and leaves what its calls returned in
 * memory that is shared with the generator, so that it may end in any way.
 */
#include "generator.h"

#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static struct shared {
	long sent, received;
	pid_t pid;
} *shared;
static int gate[2];
static int fds[2];

static void add(long *sum, long got)
{
	if (got > 0)
		*sum += got;
}

static int prepare(int unix_type)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0, sizeof(*shared));
	if (pipe(gate))
		return -1;
	return unix_type ? socketpair(AF_UNIX, unix_type, 0, fds) : tcp_pair(AF_INET, fds);
}

static void wait_at_gate(void)
{
	char byte;

	if (read(gate[0], &byte, 1) != 1)
		_exit(1);
}

static void open_gate(void)
{
	if (write(gate[1], "", 1) != 1)
		exit(1);
}

/* A child that dies with us, and begins when it is watched. */
static pid_t child(void (*body)(size_t n), size_t n)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		wait_at_gate();
		body(n);
		_exit(0);
	}
	return pid;
}

/* Lets a child of ours run and end; tells what it moved. */
static long follow(pid_t pid)
{
	if (pid < 0)
		return -1;
	watch(pid);
	open_gate();
	waitpid(pid, NULL, 0);
	moved(pid, "send", shared->sent, 1);
	moved(pid, "recv", shared->received, 1);
	return 0;
}

static void tidy(void)
{
	close(fds[0]);
	close(fds[1]);
	close(gate[0]);
	close(gate[1]);
}

static void *thread_sends(void *size)
{
	return (void *)send(fds[0], out, (size_t)size, 0);
}

static void *thread_receives(void *size)
{
	return (void *)recv(fds[1], in, (size_t)size * THREADS, MSG_WAITALL);
}

static long do_threads(struct ends *ends, size_t n)
{
	pthread_t senders[THREADS], receiver;
	void *got;

	(void)ends;
	if (prepare(0))
		return -1;
	pthread_create(&receiver, NULL, thread_receives, (void *)n);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&senders[i], NULL, thread_sends, (void *)n);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(senders[i], &got);
		moved(getpid(), "send", (long)got, 1);
	}
	pthread_join(receiver, &got);
	moved(getpid(), "recv", (long)got, 1);
	tidy();
	return 0;
}

static void child_sends(size_t n)
{
	add(&shared->sent, send(fds[0], out, n, 0));
}

/* The child sends, we receive, on sockets that both hold. */
static long do_fork(struct ends *ends, size_t n)
{
	long failed;

	(void)ends;
	if (prepare(0))
		return -1;
	failed = follow(child(child_sends, n));
	moved(getpid(), "recv", recv(fds[1], in, n, MSG_WAITALL), 1);
	tidy();
	return failed;
}

/* A child that nobody watches is not its parent. */
static long do_fork_unwatched(struct ends *ends, size_t n)
{
	pid_t pid;

	(void)ends;
	if (prepare(0))
		return -1;
	pid = child(child_sends, n);
	open_gate();
	waitpid(pid, NULL, 0);
	tidy();
	return shared->sent == (long)n ? 0 : -1;
}

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

union descriptor {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static struct msghdr *with_descriptor(union descriptor *control, struct iovec *part)
{
	static struct msghdr header;

	memset(&header, 0, sizeof(header));
	header.msg_iov = part;
	header.msg_iovlen = 1;
	header.msg_control = control;
	header.msg_controllen = sizeof(*control);
	return &header;
}

/* Takes a descriptor from the unix socket, and receives from it what the generator sent. */
static void child_takes_descriptor(size_t n)
{
	union descriptor control;
	struct iovec part = {in, 1};
	struct msghdr *header = with_descriptor(&control, &part);
	int fd;

	add(&shared->received, recvmsg(fds[1], header, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(header)), sizeof(fd));
	add(&shared->received, recv(fd, in, n, 0));
	add(&shared->sent, send(fd, out, n / 2, 0));
}

static long do_scm_rights(struct ends *ends, size_t n)
{
	union descriptor control;
	struct iovec part = {out, 1};
	struct msghdr *header;
	int tcp[2];
	pid_t pid;
	long failed;

	(void)ends;
	if (prepare(SOCK_STREAM))
		return -1;
	pid = child(child_takes_descriptor, n);
	if (tcp_pair(AF_INET, tcp))	/* after the fork: the child cannot have it but so */
		return -1;
	header = with_descriptor(&control, &part);
	control.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), &tcp[1], sizeof(int));
	moved(getpid(), "send", send(tcp[0], out, n, 0), 1);
	moved(getpid(), "send", sendmsg(fds[0], header, 0), 1);
	close(tcp[1]);
	failed = follow(pid);
	moved(getpid(), "recv", recv(tcp[0], in, n / 2, MSG_WAITALL), 1);
	close(tcp[0]);
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

static void child_in_namespaces(size_t n)
{
	int own[2];

	if (loopback_up() || tcp_pair(AF_INET, own))
		return;
	add(&shared->sent, send(own[0], out, n, 0));
	add(&shared->received, recv(own[1], in, n, MSG_WAITALL));
}

/* A child of a child: a PID namespace begins with the first child after it was made. */
static long do_namespaces(struct ends *ends, size_t n)
{
	pid_t between, pid;
	int ready[2];
	char byte = 'x';
	long failed = 0;

	(void)ends;
	if (prepare(0) || pipe(ready))
		return -1;
	between = fork();
	if (between == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)) {
			shared->pid = -errno;
		} else {
			shared->pid = child(child_in_namespaces, n);
		}
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		if (shared->pid > 0)
			waitpid(shared->pid, NULL, 0);
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1 || shared->pid <= 0) {
		errno = -shared->pid;
		failed = -1;
	} else {
		/* Its number as seen from here, where its parent still is. */
		pid = shared->pid;
		watch(pid);
		open_gate();
		waitpid(between, NULL, 0);
		moved(pid, "send", shared->sent, 1);
		moved(pid, "recv", shared->received, 1);
		if (!shared->sent)
			failed = -1;
	}
	close(ready[0]);
	close(ready[1]);
	tidy();
	return failed;
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

const struct op attribution_ops[] = {
	{"threads", "both", 0, NOTHING, do_threads},
	{"fork", "both", 0, NOTHING, do_fork},
	{"fork-unwatched", "send", 0, NOTHING, do_fork_unwatched},
	{"exec", "send", 0, NOTHING, do_exec},
	{"exec-in-thread", "send", 0, NOTHING, do_exec_in_thread},
	{"leader-ends-first", "send", 0, NOTHING, do_leader_ends},
	{"scm-rights", "both", 0, NOTHING, do_scm_rights},
	{"exit-in-flight", "both", 0, NOTHING, do_exit_in_flight},
	{"killed-in-recv", "both", 0, NOTHING, do_killed},
	{"other-namespaces", "both", 0, NOTHING, do_namespaces},
	{"pid-reused", "send", 0, NOTHING, do_pid_reused},
	{NULL, NULL, 0, 0, NULL},
};
