/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * peers.h by the hooks that cgroups have for the addresses of UDP. Attached to the root of all
 * cgroups, they run for every datagram to an address named in the call, and for every one whose
 * receiver asks for the sender's. They only look: 1 lets it pass.
 */

#define PEER4(name, dir) \
	int cgroup_udp4_##name(struct bpf_sock_addr *ctx) \
	{ \
		struct peer peer = {AF_INET, ctx->user_port}; \
		if (!filter_of(bpf_get_current_pid_tgid() >> 32)) \
			return 1; \
		*(u32 *)peer.addr = ctx->user_ip4; \
		note_peer((u64)ctx->sk, dir, &peer); \
		return 1; \
	}

#define PEER6(name, dir) \
	int cgroup_udp6_##name(struct bpf_sock_addr *ctx) \
	{ \
		struct peer peer = {AF_INET6, ctx->user_port}; \
		u32 *addr = (u32 *)peer.addr; \
		if (!filter_of(bpf_get_current_pid_tgid() >> 32)) \
			return 1; \
		addr[0] = ctx->user_ip6[0]; \
		addr[1] = ctx->user_ip6[1]; \
		addr[2] = ctx->user_ip6[2]; \
		addr[3] = ctx->user_ip6[3]; \
		note_peer((u64)ctx->sk, dir, &peer); \
		return 1; \
	}

PEER4(sendmsg, NETIO_DIR_SEND)
PEER6(sendmsg, NETIO_DIR_SEND)
PEER4(recvmsg, NETIO_DIR_RECV)
PEER6(recvmsg, NETIO_DIR_RECV)
