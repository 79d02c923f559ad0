/* SPDX-License-Identifier: Apache-2.0 */
/* What only TCP or UDP can do; and netlink, which is no network in its users' eyes. */
#include "generator.h"

#include <linux/errqueue.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#define WINDOW (1 << 16)

/* struct tcp_zerocopy_receive of a kernel that may be newer than the headers here. */
struct zerocopy_receive {
	__u64 address;
	__u32 length, recv_skip_hint, inq;
	__s32 err;
	__u64 copybuf_address;
	__s32 copybuf_len;
	__u32 flags;
	__u64 msg_control, msg_controllen;
	__u32 msg_flags, reserved;
};

long zerocopy_take(int fd)
{
	static char copy[WINDOW];
	struct zerocopy_receive want = {.length = WINDOW, .copybuf_len = sizeof(copy)};
	socklen_t len = sizeof(want);
	void *at = mmap(NULL, WINDOW, PROT_READ, MAP_SHARED, fd, 0);
	int failed;

	if (at == MAP_FAILED)
		return -1;
	want.address = (unsigned long)at;
	want.copybuf_address = (unsigned long)copy;
	failed = getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &want, &len);
	int number = errno;
	munmap(at, WINDOW);
	errno = number;
	if (failed)
		return -1;
	note("mapped %u, copied %d", want.length, want.copybuf_len);
	return (long)want.length + want.copybuf_len;
}

static long zerocopy_receive(struct ends *ends, long available)
{
	peer(FILL, available);
	wait_readable(ends->a);
	return zerocopy_take(ends->a);
}

static long do_zerocopy_map(struct ends *ends, size_t n)
{
	(void)n;
	return zerocopy_receive(ends, 40000);
}

static long do_zerocopy_copy(struct ends *ends, size_t n)
{
	return zerocopy_receive(ends, n);
}

const struct op tcp_ops[] = {
	{"zerocopy-receive-map", "recv", TCP, BYTES, do_zerocopy_map},
	{"zerocopy-receive-copy", "recv", TCP, BYTES, do_zerocopy_copy},
	{NULL, NULL, 0, 0, NULL},
};

/* What could not be sent comes back on the error queue: that is no traffic. */
static long do_error_queue(struct ends *ends, size_t n)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);
	char control[200];
	struct iovec part = {in, n};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				.msg_controllen = sizeof(control)};
	int one = 1, closed, fd;
	long sent, got;

	getsockname(ends->a, (void *)&own, &len);
	closed = socket(own.ss_family, SOCK_DGRAM, 0);
	((struct sockaddr_in *)&own)->sin_port = 0;	/* where IPv6 has its port, too */
	bind(closed, (void *)&own, len);
	getsockname(closed, (void *)&own, &len);
	close(closed);
	fd = socket(own.ss_family, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof(one));
	setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof(one));
	if (connect(fd, (void *)&own, len))
		return -1;
	sent = send(fd, out, n, 0);
	usleep(5000);
	got = recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
	int number = errno;
	close(fd);
	errno = number;
	if (got < 0)
		return -1;
	moved(getpid(), "send", sent, 1);
	return got > 0 ? 0 : 1;
}

const struct op udp_ops[] = {
	{"error-queue", "recv", UDP, NOTHING, do_error_queue},
	{NULL, NULL, 0, 0, NULL},
};

/* One way to send with the SYN; the peer takes the connection and reads it. */
static long fast(struct ends *ends, size_t n, long (*send_it)(int fd, struct ends *ends, size_t n))
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), number;
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	long got;

	peer_begin(ACCEPT, 0);
	got = send_it(fd, ends, n);
	number = errno;
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	if (got > 0)
		note("data in SYN: %s", info.tcpi_options & TCPI_OPT_SYN_DATA ? "yes" : "no");
	close(fd);
	peer_end();
	errno = number;
	return got;
}

static long by_sendto(int fd, struct ends *ends, size_t n)
{
	return sendto(fd, out, n, MSG_FASTOPEN, (void *)&ends->to, ends->to_len);
}

static long by_sendmsg(int fd, struct ends *ends, size_t n)
{
	return sendmsg(fd, message(ends, out, n), MSG_FASTOPEN);
}

static long by_write(int fd, struct ends *ends, size_t n)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) ||
	    connect(fd, (void *)&ends->to, ends->to_len))
		return -1;
	return write(fd, out, n);
}

static long do_fastopen_sendto(struct ends *ends, size_t n)
{
	return fast(ends, n, by_sendto);
}

static long do_fastopen_sendmsg(struct ends *ends, size_t n)
{
	return fast(ends, n, by_sendmsg);
}

static long do_fastopen_write(struct ends *ends, size_t n)
{
	return fast(ends, n, by_write);
}

const struct op fastopen_ops[] = {
	/* The first has no cookie yet, so its data follows the handshake. */
	{"sendto-without-cookie", "send", 0, BYTES, do_fastopen_sendto},
	{"sendto", "send", 0, BYTES, do_fastopen_sendto},
	{"sendmsg", "send", 0, BYTES, do_fastopen_sendmsg},
	{"connect-write", "send", 0, BYTES, do_fastopen_write},
	{NULL, NULL, 0, 0, NULL},
};

static int netlink_request(void)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg message;
	} request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd >= 0 && send(fd, &request, sizeof(request), 0) == sizeof(request))
		return fd;
	close(fd);
	return -1;
}

/* Off unless asked for: moved, and not to be counted. */
static long do_netlink_send(struct ends *ends, size_t n)
{
	int fd = netlink_request();

	(void)ends;
	(void)n;
	close(fd);
	return fd < 0 ? -1 : 0;
}

static long do_netlink_recv(struct ends *ends, size_t n)
{
	int fd = netlink_request();
	long got = recv(fd, in, sizeof(in), 0);

	(void)ends;
	(void)n;
	close(fd);
	return got > 0 ? 0 : -1;
}

const struct op netlink_ops[] = {
	{"send", "send", 0, NOTHING, do_netlink_send},
	{"recv", "recv", 0, NOTHING, do_netlink_recv},
	{NULL, NULL, 0, 0, NULL},
};
