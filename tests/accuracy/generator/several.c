/* SPDX-License-Identifier: Apache-2.0 */
/* One call, several datagrams, each with a peer of its own. */
#include "generator.h"

#include <string.h>
#include <unistd.h>

#define PEERS 3

struct several {
	struct sockaddr_storage own;	/* address of `a` */
	struct sockaddr_storage addresses[PEERS];
	socklen_t len;
	int fds[PEERS];
	struct sockaddr_storage names[PEERS];	/* what the messages name */
	struct iovec parts[PEERS];
	struct mmsghdr messages[PEERS];
};

/* PEERS sockets of the kind of `a`, and messages of sizes n, n + 1 ... for each. */
static int meet(struct ends *ends, struct several *s, void *at, size_t n)
{
	memset(s, 0, sizeof(*s));
	s->len = sizeof(s->own);
	if (getsockname(ends->a, (void *)&s->own, &s->len))
		return -1;
	for (int i = 0; i < PEERS; i++) {
		struct msghdr *header = &s->messages[i].msg_hdr;
		struct sockaddr_storage *own = &s->addresses[i];

		*own = ends->to;
		memset((char *)own + 2, 0, 2);	/* any port: where IPv4 and IPv6 have it */
		s->len = sizeof(*own);
		s->fds[i] = socket(own->ss_family, SOCK_DGRAM, 0);
		if (s->fds[i] < 0 || bind(s->fds[i], (void *)own, ends->to_len) ||
		    getsockname(s->fds[i], (void *)own, &s->len))
			return -1;
		s->parts[i] = (struct iovec){at, n + i};
		header->msg_iov = &s->parts[i];
		header->msg_iovlen = 1;
		header->msg_name = &s->names[i];
		header->msg_namelen = s->len;
	}
	return 0;
}

static void part(struct several *s)
{
	for (int i = 0; i < PEERS; i++)
		close(s->fds[i]);
}

static long do_sendmmsg(struct ends *ends, size_t n)
{
	struct several s;
	int sent;

	if (meet(ends, &s, out, n))
		return -1;
	memcpy(s.names, s.addresses, sizeof(s.names));
	sent = sendmmsg(ends->a, s.messages, PEERS, 0);
	for (int i = 0; i < sent; i++)
		moved_with(&s.addresses[i], "send", s.messages[i].msg_len);
	part(&s);
	return sent == PEERS ? 0 : -1;
}

static long do_recvmmsg(struct ends *ends, size_t n)
{
	struct several s;
	int got;

	if (meet(ends, &s, in, n))
		return -1;
	for (int i = 0; i < PEERS; i++)
		moved_with(&s.own, "send",
			   sendto(s.fds[i], out, n + i, 0, (void *)&s.own, ends->to_len));
	got = recvmmsg(ends->a, s.messages, PEERS, MSG_WAITFORONE, NULL);
	for (int i = 0; i < got; i++)
		moved_with(&s.names[i], "recv", s.messages[i].msg_len);
	part(&s);
	return got == PEERS ? 0 : -1;
}

const struct op several_ops[] = {
	{"sendmmsg-to-several", "send", UNCONNECTED, NOTHING, do_sendmmsg},
	{"recvmmsg-from-several", "both", UNCONNECTED, NOTHING, do_recvmmsg},
	{NULL, NULL, 0, 0, NULL},
};
