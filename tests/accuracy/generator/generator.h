/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accuracy generator: moves known numbers of bytes through sockets, one operation at a time,
 * and says what the system calls returned. main.c describes how it is talked to.
 *
 * One process, the generator, is judged: each operation is a call of its own on socket `a`. All
 * that an operation needs besides (data to receive, an empty buffer, a reader at the other end) is
 * done by a second process, the peer, which holds both ends and is not watched. They talk through
 * pipes, because pipes are no sockets: nothing but the operation itself may be counted.
 */
#ifndef NETIO_ACCURACY_GENERATOR_H
#define NETIO_ACCURACY_GENERATOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What a family of sockets can do, and what an operation needs of it. */
enum kind {
	STREAM = 1,		/* no message boundaries */
	MESSAGES = 2,		/* one send is one receive */
	CONNECTED = 4,		/* `a` knows its peer; else each send names it */
	TCP = 8,		/* plain TCP, with what only that has */
	UDP = 16,		/* UDP over IP, with its error queue */
	EMPTY = 32,		/* can send nothing at all, successfully */
	FILLS = 64,		/* has a buffer that sends can fill */
	URGENT = 128,		/* MSG_OOB */
	ECHO = 256,		/* what `a` sends is answered by the kernel */
	ZEROCOPY = 512,		/* SO_ZEROCOPY may be asked for */
	UNCONNECTED = 1024,	/* each datagram has a peer of its own */
};

struct ends {
	int a;			/* the generator's end: operations happen here */
	int b;			/* the peer's end */
	struct sockaddr_storage to;	/* address of `b`, if `a` is not connected */
	socklen_t to_len;	/* 0: connected */
};

/* What an operation should return for having proven anything. */
enum wants {
	BYTES,			/* a number above 0 */
	NOTHING,		/* 0: it succeeds, and moves no byte */
	FAILURE,		/* any error: it moves no byte */
	WHATEVER,		/* counts as it comes, an error too */
	ERROR = 1000,		/* ERROR + errno: it must fail so, and moves no byte */
};

/*
 * `run` does one operation with a size of about `n` and returns the bytes that it moved, as the
 * call said, or -1 and errno. Where that does not say it all, run calls moved() itself, and
 * returns 0 with `wants` NOTHING.
 */
struct op {
	const char *name;
	const char *dir;	/* "send", "recv" or "both" */
	unsigned needs;		/* enum kind: all of these */
	int wants;		/* enum wants */
	long (*run)(struct ends *ends, size_t n);
};

struct family {
	const char *name;
	unsigned kind;		/* enum kind */
	int domain, type, proto;
	int (*open)(const struct family *family, struct ends *ends);
	const struct op *const *ops;	/* tables of operations, ended by NULL */
};

/* main.c */
extern unsigned char out[65536];	/* what is sent; begins with what the family demands */
extern unsigned char in[65536];		/* what is received */
extern int calls;	/* messages that the operation moved, if not 1 */
void moved(pid_t pid, const char *dir, long bytes, long ops);
/* The same, with whom: the address of an IP socket. */
void moved_with(const struct sockaddr_storage *peer, const char *dir, long bytes);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void watch(pid_t pid);		/* has the driver watch another process, too */
void choose(const char *name);	/* the same for all processes of that name that there will be */
int write_file(const char *path, const char *text);

/* families.c */
extern const struct family families[];
int tcp_pair(int domain, int fds[2]);
int loopback(int domain, struct sockaddr_storage *addr, socklen_t *len);
int loopback_up(void);

/* peer.c: what the peer can be asked for */
enum request {
	FILL,			/* send a message of n bytes to `a` */
	FILL_LATER,		/* the same, after 30 ms */
	FILL_URGENT,		/* one byte of urgent data */
	STUFF,			/* send on `a` until no more fits */
	DRAIN,			/* empty both ends */
	SINK,			/* receive n bytes from `b` */
	FINISH,			/* send no more from `b` */
	ACCEPT,			/* `b` listens: take a connection, read it to its end */
};
int peer_start(const struct family *family, struct ends *ends);
void peer_begin(enum request request, long n);	/* without waiting for its end */
void peer_end(void);
void peer(enum request request, long n);	/* begin and end */
/* Have data for `a` to receive: one message of n bytes, or more bytes than that of a stream. */
void fill(struct ends *ends, size_t n);
void wait_readable(int fd);
int is_stream(const struct ends *ends);

/* sending.c */
struct iovec *split(void *at, size_t n);	/* n bytes in two parts */
struct msghdr *message(struct ends *ends, void *at, size_t n);
int memory_file(void);

extern const struct op send_ops[], recv_ops[], end_ops[], aio_ops[], uring_ops[], tcp_ops[],
	udp_ops[], several_ops[], fastopen_ops[], netlink_ops[], attribution_ops[], process_ops[],
	chosen_ops[], load_ops[];

/* ip_only.c: takes what is there by mapping its pages, and what is not a whole page by a copy */
long zerocopy_take(int fd);

/* processes.c: what the generator does when a process of its own executes it anew */
int after_exec(int fd, long n);

#endif
