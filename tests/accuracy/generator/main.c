/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generator            prints the names of the families
 * generator FAMILY     opens sockets of that family, prints a line "op NAME send|recv|both" for
 *                      each operation that makes sense there, then "ready PID"; or "absent ERRNO
 *                      TEXT" where this kernel lacks the family
 *
 * Then each line "run NAME" on stdin is answered by lines on stdout:
 *
 *     watch PID                    another process takes part; goes on when told "go"
 *     choose NAME                  processes of that name take part; goes on when told "go"
 *     moved PID send|recv BYTES OPS [PEER]    what the calls of that process returned, and for
 *                             one on an IP socket who is at the other end, as ADDRESS:PORT
 *     note TEXT
 *     done                         the end: what `moved` says is what must be counted
 *     absent ERRNO TEXT            the end: the kernel refuses this call; nothing moved
 *     wrong TEXT                   the end: the call did not do what it is here for
 */
#include "generator.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* So that each operation has a size of its own, by which a miscount can be told. */
#define SMALLEST 100

unsigned char out[65536], in[65536];
int calls;

void moved(pid_t pid, const char *dir, long bytes, long ops)
{
	if (bytes > 0)
		printf("moved %d %s %ld %ld\n", pid, dir, bytes, ops);
}

/* ADDRESS:PORT, or nothing where it is no address of IP. */
static void print_address(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	char text[INET6_ADDRSTRLEN];

	if (address->ss_family == AF_INET)
		printf(" %s:%d", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)),
		       ntohs(v4->sin_port));
	else if (address->ss_family == AF_INET6)
		printf(" [%s]:%d", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)),
		       ntohs(v6->sin6_port));
}

static void moved_to_end(const struct ends *ends, const char *dir, long bytes)
{
	struct sockaddr_storage peer = ends->to;
	socklen_t len = sizeof(peer);

	printf("moved %d %s %ld %d", getpid(), dir, bytes, calls);
	if (ends->to_len || (ends->a >= 0 && !getpeername(ends->a, (void *)&peer, &len)))
		print_address(&peer);
	printf("\n");
}

void moved_with(const struct sockaddr_storage *peer, const char *dir, long bytes)
{
	if (bytes <= 0)
		return;
	printf("moved %d %s %ld 1", getpid(), dir, bytes);
	print_address(peer);
	printf("\n");
}

void note(const char *format, ...)
{
	va_list list;

	printf("note ");
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
}

static void wait_for_go(void)
{
	char line[16];

	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

void watch(pid_t pid)
{
	printf("watch %d\n", pid);
	wait_for_go();
}

void choose(const char *name)
{
	printf("choose %s\n", name);
	wait_for_go();
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

static void say_errno(const char *what, int number)
{
	const char *name = strerrorname_np(number);

	printf("%s %s %s\n", what, name ? name : "?", strerror(number));
}

static void run(const struct op *op, struct ends *ends, size_t n)
{
	long got;
	int number;

	if (ends->a >= 0)
		peer(DRAIN, 0);
	calls = 1;
	errno = 0;
	got = op->run(ends, n);
	number = errno;
	if (got > 0)
		moved_to_end(ends, op->dir, got);
	if (op->wants == WHATEVER || (op->wants == BYTES && got > 0) ||
	    (op->wants == NOTHING && got == 0) || (op->wants == FAILURE && got < 0) ||
	    (op->wants > ERROR && got < 0 && number == op->wants - ERROR))
		printf("done\n");
	else if (got < 0 && op->wants <= ERROR)
		say_errno("absent", number);
	else if (got < 0)
		printf("wrong fails with %s\n", strerror(number));
	else
		printf("wrong returns %ld\n", got);
}

static int serves(const struct family *family, const struct op *op)
{
	return (op->needs & ~family->kind) == 0;
}

/* The operation of this name, or of every name if NULL: then each is printed. */
static const struct op *find(const struct family *family, const char *name, size_t *n)
{
	*n = SMALLEST;
	for (const struct op *const *table = family->ops; *table; table++) {
		for (const struct op *op = *table; op->name; op++, ++*n) {
			if (!serves(family, op))
				continue;
			if (!name)
				printf("op %s %s\n", op->name, op->dir);
			else if (!strcmp(op->name, name))
				return op;
		}
	}
	return NULL;
}

static int serve(const struct family *family)
{
	struct ends ends = {.a = -1, .b = -1};
	char line[100];
	size_t n;

	if (family->open(family, &ends) < 0) {
		say_errno("absent", errno);
		return 0;
	}
	if (ends.a >= 0 && peer_start(family, &ends) < 0) {
		perror("peer");
		return 1;
	}
	find(family, NULL, &n);
	printf("ready %d\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		const struct op *op;

		line[strcspn(line, "\n")] = 0;
		op = strncmp(line, "run ", 4) ? NULL : find(family, line + 4, &n);
		if (op)
			run(op, &ends, n);
		else
			printf("wrong no such operation\n");
	}
	return 0;
}

int main(int argc, char **argv)
{
	/* The driver reads lines from a pipe; and a child must not inherit half a line. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]), atol(argv[3]));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (const struct family *family = families; family->name; family++) {
		if (argc < 2)
			printf("%s\n", family->name);
		else if (!strcmp(family->name, argv[1]))
			return serve(family);
	}
	if (argc < 2)
		return 0;
	fprintf(stderr, "generator: no family %s\n", argv[1]);
	return 2;
}
