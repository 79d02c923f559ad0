/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Back-end "tracepoint": sock_send_length and sock_recv_length (6.3, kernel commit 6e6eda44b939).
 *
 * They fire in sock_sendmsg and sock_recvmsg, below every system call and io_uring, once an
 * operation and with its result, so nothing is counted twice and no state is kept. What moves
 * bytes without these functions is not seen: splice from a socket into a pipe, and
 * getsockopt(TCP_ZEROCOPY_RECEIVE).
 */

/* The user's registers tell which call this is; io_uring's own threads have none. */
#define PF_IO_WORKER 0x00000010

static __always_inline void regs_of_call(struct pt_regs *to)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);

	bpf_probe_read_kernel(to, sizeof(*to), regs);
}

RAW_TRACEPOINT_PROBE(sock_send_length)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u64 wanted = filter_of(tgid);
	struct sock *sk = (void *)ctx->args[0];
	int ret = (int)ctx->args[1];
	struct pt_regs regs = {};
	struct peer peer = {};
	struct op op = {};

	if (!wanted || ret <= 0)
		return 0;
	regs_of_call(&regs);
	op.bytes = ret;
	op.ops = 1;
	op.dir = NETIO_DIR_SEND;
	op.call = call_of(regs.NETIO_SYSCALL_NR);
	if (is_unconnected(sk)) {
		if (op.call == NETIO_CALL_SENDTO)
			peer_from_user(&peer, regs.NETIO_ARG4);
		else if (op.call == NETIO_CALL_SENDMSG)
			peer_from_msghdr(&peer, regs.NETIO_ARG1);
	}
	return account(wanted, sk, &peer, &op);
}

RAW_TRACEPOINT_PROBE(sock_recv_length)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u64 wanted = filter_of(tgid);
	int ret = (int)ctx->args[1];
	struct pt_regs regs = {};
	struct op op = {};

	if (!wanted || ret <= 0 || (int)ctx->args[2] & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	regs_of_call(&regs);
	op.bytes = ret;
	op.ops = 1;
	op.dir = NETIO_DIR_RECV;
	op.call = call_of(regs.NETIO_SYSCALL_NR);
	return account(wanted, (void *)ctx->args[0], NULL, &op);
}
