/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worst case for a watcher of sockets: 64-byte datagrams between two connected UDP sockets on
 * loopback, sent and received by one thread. Hardly a system call does less for its process, so
 * what watching costs shows nowhere more. slices.h says how it is told what to do.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "slices.h"

#define BYTES 64

static int from, to;

static int udp_socket(struct sockaddr_in *own)
{
	/* A datagram that got lost must not stop the benchmark for good. */
	struct timeval patience = {2, 0};
	socklen_t size = sizeof(*own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(own, 0, sizeof(*own));
	own->sin_family = AF_INET;
	own->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)own, size) ||
	    getsockname(fd, (struct sockaddr *)own, &size) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("udp socket");
	return fd;
}

static void pairs(uint64_t count)
{
	char buffer[BYTES] = {0};

	while (count--) {
		if (send(from, buffer, BYTES, 0) != BYTES)
			die("send");
		if (recv(to, buffer, BYTES, 0) != BYTES)
			die("recv");
	}
}

int main(void)
{
	struct sockaddr_in from_name, to_name;

	from = udp_socket(&from_name);
	to = udp_socket(&to_name);
	if (connect(from, (struct sockaddr *)&to_name, sizeof(to_name)) ||
	    connect(to, (struct sockaddr *)&from_name, sizeof(from_name)))
		die("connect");
	return serve(&(struct work){.rounds = pairs, .ops = 2, .burst = 64});
}
