/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* peers.h, receiving, by the function that gives up a UDP datagram once it is delivered. */

ENTRY(skb_consume_udp)
{
	WANTED;
	struct sock *sk = (void *)ARG(0);
	struct peer peer = {};

	if (READ(sk->__sk_common.skc_dport))
		return 0;
	peer_from_skb(&peer, (void *)ARG(1));
	note_peer((u64)sk, NETIO_DIR_RECV, &peer);
	return 0;
}
