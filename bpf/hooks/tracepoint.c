/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Back-end "tracepoint": sock_send_length and sock_recv_length (6.3, kernel commit 6e6eda44b939).
 *
 * They fire in sock_sendmsg and sock_recvmsg, below every system call and io_uring, once an
 * operation and with its result, so nothing is counted twice and no state is kept. What moves
 * bytes without these functions, and whom a datagram came from or went to, is for the hooks
 * beside them: splice.h, zerocopy.c, peers.h. What these programs hang on is said in
 * tracepoint_raw.c and tracepoint_classic.c.
 */

/* Which call it is takes time to find out, and where only totals are wanted nobody asks. */
static __always_inline int needs_call(u64 wanted, struct head *head)
{
	return wanted & NETIO_FILTER_STREAM || is_unconnected(head);
}

static __always_inline int needs_call_received(u64 wanted, int flags)
{
#ifdef NETIO_SPLICES
	return 1;	/* splice(2) has to be told from the others */
#else
	return wanted & NETIO_FILTER_STREAM || flags & MSG_TRUNC;
#endif
}

/* Whether an operation that moved nothing is to be told, and `op` has its errno then. */
static __always_inline int is_failure(struct op *op, u64 wanted, int ret)
{
	op->error = wanted & NETIO_FILTER_ERRORS ? error_of(ret) : 0;
	return op->error;
}

static __always_inline int sent(struct sock *sk, int ret)
{
	u64 id = bpf_get_current_pid_tgid(), wanted = filter_of(id >> 32);
	struct task_struct *task;
	struct pt_regs *regs = NULL;
	struct peer peer = {};
	struct head head = {};
	struct op op = {};

	if (!wanted || (ret <= 0 && !is_failure(&op, wanted, ret)))
		return 0;
	read_head(&head, sk);
	op.id = id;
	if (ret > 0) {
		op.bytes = ret;
		op.ops = 1;
	}
	op.dir = NETIO_DIR_SEND;
	if (needs_call(wanted, &head)) {
		task = this_task();
		regs = user_regs(task);
		op.call = this_call(task, regs);
	}
	if (is_unconnected(&head)) {
		if (op.call == NETIO_CALL_SENDTO)
			peer_from_user(&peer, READ(regs->NETIO_ARG4));
		else if (op.call == NETIO_CALL_SENDMSG)
			peer_from_msghdr(&peer, READ(regs->NETIO_ARG1));
#ifdef NETIO_PEER_NOTES
		else
			noted_peer(&peer, sk, NETIO_DIR_SEND);
#endif
	}
	return account(wanted, sk, &head, &peer, &op);
}

static __always_inline int received(struct sock *sk, int ret, int flags)
{
	u64 id = bpf_get_current_pid_tgid(), wanted = filter_of(id >> 32);
	struct task_struct *task;
	struct pt_regs *regs = NULL;
	struct peer peer = {};
	struct head head = {};
	struct op op = {};

	if (!wanted || (ret <= 0 && !is_failure(&op, wanted, ret)))
		return 0;
	if (flags & (MSG_PEEK | MSG_ERRQUEUE)) {
#ifdef NETIO_PEER_NOTES
		noted_peer(&peer, sk, NETIO_DIR_RECV);	/* not for the next one to find */
#endif
		if (!op.error)
			return 0;
	}
	read_head(&head, sk);
	op.id = id;
	if (ret > 0) {
		op.bytes = ret;
		op.ops = 1;
	}
	op.dir = NETIO_DIR_RECV;
	if (needs_call_received(wanted, flags)) {
		task = this_task();
		regs = user_regs(task);
		op.call = this_call(task, regs);
	}
	if (flags & MSG_TRUNC && ret > 0) {
		if (op.call == NETIO_CALL_RECVFROM)
			op.bytes = delivered(ret, READ(regs->NETIO_ARG2));
		else if (op.call == NETIO_CALL_RECVMSG || op.call == NETIO_CALL_RECVMMSG)
			op.bytes = delivered(ret, room_of_msghdr(READ(regs->NETIO_ARG1), MAX_IOV));
	}
#ifdef NETIO_SPLICES
	if (op.call == NETIO_CALL_SPLICE || op.call == NETIO_CALL_IO_URING)
		splice_counted();
#endif
#ifdef NETIO_PEER_NOTES
	if (is_unconnected(&head))
		noted_peer(&peer, sk, NETIO_DIR_RECV);
#endif
	return account(wanted, sk, &head, &peer, &op);
}
