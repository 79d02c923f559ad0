/* SPDX-License-Identifier: Apache-2.0 */
/* The families of sockets, and how a pair of each is made. */
#include "generator.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/tls.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define UDPLITE 136
#define SCTP 132
#define EXPERIMENTAL 253	/* RFC 3692: an IP protocol for tests */
#define LOCAL_ETHERTYPE 0x88b5	/* IEEE 802: one for local experiments */
#define ICMP_ECHO 8
#define ICMP6_ECHO 128

/* AF_INET, AF_INET6, AF_VSOCK; or AF_UNSPEC: IPv4 mapped into IPv6. */
int loopback(int domain, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in *v4 = (void *)addr;
	struct sockaddr_in6 *v6 = (void *)addr;
	struct sockaddr_vm *vm = (void *)addr;

	memset(addr, 0, sizeof(*addr));
	switch (domain) {
	case AF_INET:
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*len = sizeof(*v4);
		break;
	case AF_INET6:
		v6->sin6_addr = in6addr_loopback;
		*len = sizeof(*v6);
		break;
	case AF_UNSPEC:
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6->sin6_addr);
		domain = AF_INET6;
		*len = sizeof(*v6);
		break;
	default:
		vm->svm_cid = VMADDR_CID_LOCAL;
		vm->svm_port = VMADDR_PORT_ANY;
		*len = sizeof(*vm);
	}
	addr->ss_family = domain;
	return domain;
}

static int bound(const struct family *family, struct sockaddr_storage *addr, socklen_t *len)
{
	int domain = loopback(family->domain, addr, len);
	int fd = socket(domain, family->type, family->proto);

	if (fd < 0 || bind(fd, (void *)addr, *len) || getsockname(fd, (void *)addr, len))
		return -1;
	if (domain == AF_VSOCK)
		((struct sockaddr_vm *)addr)->svm_cid = VMADDR_CID_LOCAL;
	return fd;
}

/* Two that are connected through a third that listens. */
static int open_stream(const struct family *family, struct ends *ends)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = bound(family, &addr, &len), one = 1;

	if (listener < 0 || listen(listener, 1))
		return -1;
	ends->a = socket(addr.ss_family, family->type, family->proto);
	if (ends->a < 0 || connect(ends->a, (void *)&addr, len))
		return -1;
	ends->b = accept(listener, NULL, NULL);
	close(listener);
	if (family->domain != AF_VSOCK && family->proto != SCTP) {
		setsockopt(ends->a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(ends->b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	return ends->b;
}

static int open_ktls(const struct family *family, struct ends *ends)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = {TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128}};
	int fds[2];

	if (open_stream(family, ends) < 0)
		return -1;
	fds[0] = ends->a;
	fds[1] = ends->b;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
			return -1;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], SOL_TLS, TLS_TX, &keys, sizeof(keys)) ||
		    setsockopt(fds[i], SOL_TLS, TLS_RX, &keys, sizeof(keys)))
			return -1;
	return 0;
}

static int open_datagram(const struct family *family, struct ends *ends)
{
	struct sockaddr_storage a, b;
	socklen_t a_len, b_len;

	ends->a = bound(family, &a, &a_len);
	ends->b = bound(family, &b, &b_len);
	if (ends->a < 0 || ends->b < 0 || connect(ends->b, (void *)&a, a_len))
		return -1;
	if (family->kind & CONNECTED)
		return connect(ends->a, (void *)&b, b_len);
	ends->to = b;
	ends->to_len = b_len;
	return 0;
}

static int open_unix(const struct family *family, struct ends *ends)
{
	int fds[2];

	if (socketpair(AF_UNIX, family->type, 0, fds))
		return -1;
	ends->a = fds[0];
	ends->b = fds[1];
	return 0;
}

int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request);

	if (fd >= 0)
		close(fd);
	return failed ? -1 : 0;
}

/* A ping socket: the kernel answers what it sends. Who may open one is up to the namespace. */
static int open_ping(const struct family *family, struct ends *ends)
{
	struct sockaddr_storage to;
	socklen_t len;
	int domain = loopback(family->domain, &to, &len);

	if (unshare(CLONE_NEWNET) || loopback_up() ||
	    write_file("/proc/sys/net/ipv4/ping_group_range", "0 0"))
		return -1;
	out[0] = domain == AF_INET ? ICMP_ECHO : ICMP6_ECHO;
	ends->a = socket(domain, family->type, family->proto);
	ends->b = dup(ends->a);
	/* ::1 is tentative for a moment after the interface came up. */
	for (int i = 0; i < 50; i++) {
		if (!connect(ends->a, (void *)&to, len))
			return ends->a;
		usleep(20000);
	}
	return -1;
}

/* Raw sockets see all that comes for their protocol, what they send themselves included. */
static int open_raw(const struct family *family, struct ends *ends)
{
	struct sockaddr_storage to;
	socklen_t len;
	int domain = loopback(family->domain, &to, &len);

	ends->a = socket(domain, SOCK_RAW, family->proto);
	ends->b = socket(domain, SOCK_RAW, family->proto);
	if (ends->a < 0 || ends->b < 0 || connect(ends->b, (void *)&to, len))
		return -1;
	return connect(ends->a, (void *)&to, len);
}

static int open_packet(const struct family *family, struct ends *ends)
{
	struct sockaddr_ll own = {.sll_family = AF_PACKET, .sll_protocol = htons(LOCAL_ETHERTYPE)};

	own.sll_ifindex = if_nametoindex("lo");
	out[12] = LOCAL_ETHERTYPE >> 8;
	out[13] = LOCAL_ETHERTYPE & 0xff;
	ends->a = socket(AF_PACKET, family->type, own.sll_protocol);
	ends->b = socket(AF_PACKET, family->type, own.sll_protocol);
	if (ends->a < 0 || ends->b < 0 || bind(ends->b, (void *)&own, sizeof(own)))
		return -1;
	return bind(ends->a, (void *)&own, sizeof(own));
}

/* `b` listens, with fast open allowed, in a network namespace of its own. */
static int open_fastopen(const struct family *family, struct ends *ends)
{
	/* net.ipv4.tcp_fastopen: client, server, and every listener. */
	if (unshare(CLONE_NEWNET) || loopback_up() ||
	    write_file("/proc/sys/net/ipv4/tcp_fastopen", "1027"))
		return -1;
	ends->b = bound(family, &ends->to, &ends->to_len);
	/* Nothing happens on `a`: each operation has a socket of its own. */
	ends->a = dup(ends->b);
	return ends->b < 0 ? -1 : listen(ends->b, 4);
}

static int open_nothing(const struct family *family, struct ends *ends)
{
	(void)family;
	(void)ends;
	return 0;
}

int tcp_pair(int domain, int fds[2])
{
	struct family family = {.domain = domain, .type = SOCK_STREAM};
	struct ends ends;

	if (open_stream(&family, &ends) < 0)
		return -1;
	fds[0] = ends.a;
	fds[1] = ends.b;
	return 0;
}

static const struct op *const common[] = {send_ops, recv_ops, aio_ops, uring_ops, udp_ops,
					   several_ops, tcp_ops, end_ops, NULL};
static const struct op *const fastopen[] = {fastopen_ops, NULL};
static const struct op *const netlink[] = {netlink_ops, NULL};
static const struct op *const attribution[] = {attribution_ops, process_ops, chosen_ops, NULL};
static const struct op *const load[] = {load_ops, NULL};

#define FULL (STREAM | CONNECTED | EMPTY | FILLS)
#define PLAIN_TCP (FULL | TCP | URGENT | ZEROCOPY)
#define PLAIN_UDP (MESSAGES | EMPTY | UDP | ZEROCOPY)
#define ANY_MESSAGES (MESSAGES | CONNECTED)

const struct family families[] = {
	{"tcp4", PLAIN_TCP, AF_INET, SOCK_STREAM, 0, open_stream, common},
	{"tcp6", PLAIN_TCP, AF_INET6, SOCK_STREAM, 0, open_stream, common},
	{"tcp-mapped", PLAIN_TCP, AF_UNSPEC, SOCK_STREAM, 0, open_stream, common},
	{"udp4", PLAIN_UDP | CONNECTED, AF_INET, SOCK_DGRAM, 0, open_datagram, common},
	{"udp6", PLAIN_UDP | CONNECTED, AF_INET6, SOCK_DGRAM, 0, open_datagram, common},
	{"udp-mapped", PLAIN_UDP | CONNECTED, AF_UNSPEC, SOCK_DGRAM, 0, open_datagram, common},
	{"udp4-unconnected", PLAIN_UDP | UNCONNECTED, AF_INET, SOCK_DGRAM, 0, open_datagram, common},
	{"udp6-unconnected", PLAIN_UDP | UNCONNECTED, AF_INET6, SOCK_DGRAM, 0, open_datagram, common},
	{"udp-mapped-unconnected", PLAIN_UDP | UNCONNECTED, AF_UNSPEC, SOCK_DGRAM, 0, open_datagram,
	 common},
	{"udplite4", ANY_MESSAGES, AF_INET, SOCK_DGRAM, UDPLITE, open_datagram, common},
	{"udplite6", ANY_MESSAGES, AF_INET6, SOCK_DGRAM, UDPLITE, open_datagram, common},
	{"icmp4", ANY_MESSAGES | ECHO, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, open_ping, common},
	{"icmp6", ANY_MESSAGES | ECHO, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, open_ping, common},
	{"raw4", ANY_MESSAGES, AF_INET, SOCK_RAW, EXPERIMENTAL, open_raw, common},
	{"raw6", ANY_MESSAGES, AF_INET6, SOCK_RAW, EXPERIMENTAL, open_raw, common},
	{"packet", ANY_MESSAGES, AF_PACKET, SOCK_RAW, 0, open_packet, common},
	{"sctp4", ANY_MESSAGES, AF_INET, SOCK_STREAM, SCTP, open_stream, common},
	{"sctp6", ANY_MESSAGES, AF_INET6, SOCK_STREAM, SCTP, open_stream, common},
	{"mptcp4", FULL, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, open_stream, common},
	{"mptcp6", FULL, AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, open_stream, common},
	{"ktls4", FULL, AF_INET, SOCK_STREAM, 0, open_ktls, common},
	{"ktls6", FULL, AF_INET6, SOCK_STREAM, 0, open_ktls, common},
	{"unix-stream", FULL | URGENT, AF_UNIX, SOCK_STREAM, 0, open_unix, common},
	{"unix-dgram", ANY_MESSAGES | EMPTY, AF_UNIX, SOCK_DGRAM, 0, open_unix, common},
	{"unix-seqpacket", ANY_MESSAGES, AF_UNIX, SOCK_SEQPACKET, 0, open_unix, common},
	{"vsock-stream", FULL, AF_VSOCK, SOCK_STREAM, 0, open_stream, common},
	{"vsock-seqpacket", ANY_MESSAGES, AF_VSOCK, SOCK_SEQPACKET, 0, open_stream, common},
	{"fastopen", 0, AF_INET, SOCK_STREAM, 0, open_fastopen, fastopen},
	{"netlink", 0, AF_NETLINK, SOCK_RAW, 0, open_nothing, netlink},
	{"attribution", 0, 0, 0, 0, open_nothing, attribution},
	{"load", 0, 0, 0, 0, open_nothing, load},
	{NULL, 0, 0, 0, 0, NULL, NULL},
};
