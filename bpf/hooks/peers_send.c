/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* peers.h, sending, by the functions that every UDP datagram passes. IPv4 mapped passes both. */

static __always_inline int sending_to(struct sock *sk, struct msghdr *msg)
{
	void *name = READ(msg->msg_name);
	struct peer peer = {};

	if (!name)
		return 0;
	peer_from_kernel(&peer, name);
	note_peer((u64)sk, NETIO_DIR_SEND, &peer);
	return 0;
}

ENTRY(udp_sendmsg)
{
	WANTED;
	return sending_to((void *)ARG(0), (void *)ARG(1));
}

ENTRY(udpv6_sendmsg)
{
	WANTED;
	return sending_to((void *)ARG(0), (void *)ARG(1));
}
