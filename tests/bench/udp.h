/* SPDX-License-Identifier: Apache-2.0 */
/* What workloads with UDP have in common. */
#ifndef NETIO_BENCH_UDP_H
#define NETIO_BENCH_UDP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "clock.h"

#define BYTES 64

/* `address` is on loopback, in the host's byte order; the port is any that is free there. */
static int udp_socket(uint32_t address, struct sockaddr_in *own)
{
	/* A datagram that got lost must not stop the benchmark for good. */
	struct timeval patience = {2, 0};
	socklen_t size = sizeof(*own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(own, 0, sizeof(*own));
	own->sin_family = AF_INET;
	own->sin_addr.s_addr = htonl(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)own, size) ||
	    getsockname(fd, (struct sockaddr *)own, &size) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("udp socket");
	return fd;
}

/* Two sockets that are connected to each other. */
static void udp_pair(uint32_t address, int *a, int *b)
{
	struct sockaddr_in a_name, b_name;

	*a = udp_socket(address, &a_name);
	*b = udp_socket(address, &b_name);
	if (connect(*a, (struct sockaddr *)&b_name, sizeof(b_name)) ||
	    connect(*b, (struct sockaddr *)&a_name, sizeof(a_name)))
		die("connect");
}

/* So many datagrams, each sent and received: two operations. */
static void exchange(int from, int to, uint64_t count)
{
	char buffer[BYTES] = {0};

	while (count--) {
		if (send(from, buffer, BYTES, 0) != BYTES)
			die("send");
		if (recv(to, buffer, BYTES, 0) != BYTES)
			die("recv");
	}
}

#endif
