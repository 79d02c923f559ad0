/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo of 1 KiB over 100 TCP connections on loopback. Both ends of each belong to one thread,
 * which takes the connections in turn: so the speed is that of the calls, not that of waking
 * another thread. slices.h says how it is told what to do.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "slices.h"

#define BYTES 1024
#define CONNECTIONS 100

static struct connection {
	int client, server;
} connections[CONNECTIONS];

static void prepare(int fd)
{
	/* What got lost must not stop the benchmark for good. */
	struct timeval patience = {2, 0};
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("tcp socket");
}

static void connect_all(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(name);

	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&name, size) ||
	    getsockname(listener, (struct sockaddr *)&name, &size) || listen(listener, 1))
		die("listen");
	for (int i = 0; i < CONNECTIONS; i++) {
		struct connection *c = &connections[i];

		c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		prepare(c->client);
		if (connect(c->client, (struct sockaddr *)&name, size))
			die("connect");
		c->server = accept(listener, NULL, NULL);
		prepare(c->server);
	}
}

static void pass(int from, int to)
{
	char buffer[BYTES] = {0};

	if (send(from, buffer, BYTES, 0) != BYTES)
		die("send");
	if (recv(to, buffer, BYTES, MSG_WAITALL) != BYTES)
		die("recv");
}

static void echoes(uint64_t count)
{
	static size_t turn;

	while (count--) {
		const struct connection *c = &connections[turn];

		pass(c->client, c->server);
		pass(c->server, c->client);
		turn = (turn + 1) % CONNECTIONS;
	}
}

int main(void)
{
	connect_all();
	return serve(&(struct work){.rounds = echoes, .ops = 4, .burst = 20});
}
