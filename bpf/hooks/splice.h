/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * splice(2) from a socket, beside the back-end "tracepoint".
 *
 * From some families it passes sock_recvmsg, whose tracepoint counts it, from others (TCP, unix
 * stream, kTLS, MPTCP since 7.0) it does not. So what is spliced is noted on entry, the tracepoint
 * leaves a mark if it counts meanwhile, and what has none on return is counted there.
 */

struct splice {
	struct sock *sk;
	u32 counted;
	u32 pad;
};

BPF_HASH(splices, u64, struct splice, 16384);
#define NETIO_SPLICES

static __always_inline int splice_begins(struct sock *sk)
{
	u64 id = bpf_get_current_pid_tgid();
	struct splice fresh = {sk};

	if (sk)
		splices.update(&id, &fresh);
	else
		splices.delete(&id);	/* of one that was not seen to end */
	return 0;
}

static __always_inline void splice_counted(void)
{
	u64 id = bpf_get_current_pid_tgid();
	struct splice *under_way = splices.lookup(&id);

	if (under_way)
		under_way->counted = 1;
}

static __always_inline int splice_ends(u64 wanted, long ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct splice *noted = splices.lookup(&id), in;
	struct task_struct *task = this_task();
	struct head head = {};
	struct op op = {};

	if (!noted)
		return 0;
	in = *noted;
	splices.delete(&id);
	if (ret <= 0 || in.counted)
		return 0;
	read_head(&head, in.sk);
	op.id = id;
	op.bytes = ret;
	op.ops = 1;
	op.dir = NETIO_DIR_RECV;
	op.call = this_call(task, user_regs(task));
	return account(wanted, in.sk, &head, NULL, &op);
}
