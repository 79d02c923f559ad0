/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * getsockopt(TCP_ZEROCOPY_RECEIVE), which maps or copies data inside TCP itself, past every
 * function that moves bytes otherwise: noted when it begins, counted when it has succeeded.
 */

struct zerocopy {
	struct sock *sk;
	u64 optval, optlen;
};

BPF_HASH(zerocopies, u64, struct zerocopy, 4096);

static __always_inline int is_zerocopy(u64 level, u64 optname)
{
	return (int)level == IPPROTO_TCP && (int)optname == TCP_ZEROCOPY_RECEIVE;
}

static __always_inline int zerocopy_begins(struct sock *sk, u64 optval, u64 optlen)
{
	u64 id = bpf_get_current_pid_tgid();
	struct zerocopy fresh = {sk, optval, optlen};

	if (sk)
		zerocopies.update(&id, &fresh);
	return 0;
}

static __always_inline int zerocopy_ends(u64 wanted, int ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct zerocopy *noted = zerocopies.lookup(&id), in;

	if (!noted)
		return 0;
	in = *noted;
	zerocopies.delete(&id);
	return ret ? 0 : zerocopy_received(wanted, in.sk, in.optval, in.optlen);
}
