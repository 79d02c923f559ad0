/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes belong to the process that moved them: threads, children, descriptors that travel. */
#include "children.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

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

const struct op attribution_ops[] = {
	{"threads", "both", 0, NOTHING, do_threads},
	{"fork", "both", 0, NOTHING, do_fork},
	{"fork-unwatched", "send", 0, NOTHING, do_fork_unwatched},
	{"scm-rights", "both", 0, NOTHING, do_scm_rights},
	{"other-namespaces", "both", 0, NOTHING, do_namespaces},
	{NULL, NULL, 0, 0, NULL},
};
