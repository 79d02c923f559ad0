/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Back-end "tracepoint": sock_send_length and sock_recv_length (6.3, kernel commit 6e6eda44b939).
 *
 * They fire in sock_sendmsg and sock_recvmsg, below every system call and io_uring, once an
 * operation and with its result, so nothing is counted twice and no state is kept. What moves
 * bytes without these functions is not seen: splice from a socket into a pipe, and
 * getsockopt(TCP_ZEROCOPY_RECEIVE).
 */

RAW_TRACEPOINT_PROBE(sock_send_length)
{
	u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32);
	struct sock *sk = (void *)ctx->args[0];
	int ret = (int)ctx->args[1];
	struct pt_regs *regs;
	struct peer peer = {};
	struct head head = {};
	struct op op = {};

	if (!wanted || ret <= 0)
		return 0;
	regs = user_regs();
	read_head(&head, sk);
	op.bytes = ret;
	op.ops = 1;
	op.dir = NETIO_DIR_SEND;
	op.call = this_call(regs);
	if (is_unconnected(&head)) {
		if (op.call == NETIO_CALL_SENDTO)
			peer_from_user(&peer, READ(regs->NETIO_ARG4));
		else if (op.call == NETIO_CALL_SENDMSG)
			peer_from_msghdr(&peer, READ(regs->NETIO_ARG1));
	}
	return account(wanted, sk, &head, &peer, &op);
}

RAW_TRACEPOINT_PROBE(sock_recv_length)
{
	u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32);
	struct sock *sk = (void *)ctx->args[0];
	int ret = (int)ctx->args[1];
	struct pt_regs *regs;
	struct head head = {};
	struct op op = {};

	if (!wanted || ret <= 0 || (int)ctx->args[2] & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	regs = user_regs();
	read_head(&head, sk);
	op.bytes = ret;
	op.ops = 1;
	op.dir = NETIO_DIR_RECV;
	op.call = this_call(regs);
	if ((int)ctx->args[2] & MSG_TRUNC) {
		if (op.call == NETIO_CALL_RECVFROM)
			op.bytes = delivered(ret, READ(regs->NETIO_ARG2));
		else if (op.call == NETIO_CALL_RECVMSG || op.call == NETIO_CALL_RECVMMSG)
			op.bytes = delivered(ret, room_of_msghdr(READ(regs->NETIO_ARG1), MAX_IOV));
	}
	return account(wanted, sk, &head, NULL, &op);
}
