/* SPDX-License-Identifier: Apache-2.0 */
/* Children of the generator: how they are begun, watched and reported. */
#include "children.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared *shared;
int fds[2];
static int gate[2];

void add(long *sum, long got)
{
	if (got > 0)
		*sum += got;
}

int prepare(int unix_type)
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

void open_gate(void)
{
	if (write(gate[1], "", 1) != 1)
		exit(1);
}

pid_t child(void (*body)(size_t n), size_t n)
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

long follow(pid_t pid)
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

void tidy(void)
{
	close(fds[0]);
	close(fds[1]);
	close(gate[0]);
	close(gate[1]);
}

void child_sends(size_t n)
{
	add(&shared->sent, send(fds[0], out, n, 0));
}
