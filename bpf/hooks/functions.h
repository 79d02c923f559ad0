/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel functions that move a socket's bytes, for the back-ends that hook entry and return.
 *
 * They call one another (sock_read_iter calls sock_recvmsg; sendmmsg calls ____sys_sendmsg, which
 * for a second message to one address skips sock_sendmsg), so none alone sees everything and most
 * bytes pass two of them. The outermost wins: it notes the socket on entry, what it calls is
 * passed over, and its return is counted.
 *
 * A return that is missed would leave such a note behind for ever. So a note holds which function
 * and which system call it is of: a function that cannot be inside the noted one, or another
 * system call, replaces it.
 */

enum {
	FN_WRITE_ITER = 1,	/* sock_write_iter: write, writev, AIO, io_uring write */
	FN_SENDTO,		/* __sys_sendto: send, sendto */
	FN_SENDMSG,		/* ____sys_sendmsg: sendmsg, sendmmsg, io_uring sendmsg */
	FN_SENDPAGE,		/* sock_sendpage: sendfile and splice before 6.5 */
	FN_SOCK_SENDMSG,	/* sock_sendmsg: io_uring send; sendfile and splice since 6.5 */
	FN_READ_ITER,		/* sock_read_iter: read, readv, AIO, io_uring read */
	FN_RECVFROM,		/* __sys_recvfrom: recv, recvfrom */
	FN_RECVMSG,		/* ____sys_recvmsg: recvmsg, recvmmsg, io_uring recvmsg */
	FN_SPLICE_READ,		/* sock_splice_read: splice from a socket */
	FN_SOCK_RECVMSG,	/* sock_recvmsg: io_uring recv */
};

struct noted {
	struct sock *sk;
	u64 room;		/* bytes that can be delivered, whatever is returned (MSG_TRUNC) */
	u32 fn;
	u32 nr;			/* system call under way */
	u32 ignored;		/* MSG_PEEK, MSG_ERRQUEUE */
	u32 pad;
	struct msghdr *msg;	/* of a sock_recvmsg under way, here or inside */
	struct peer peer;
	u32 pad2;
};

BPF_HASH(noted, u64, struct noted, 65536);

static __always_inline u32 call_under_way(void)
{
	struct pt_regs *regs = user_regs(this_task());

	/* Never NULL; but without this clang takes it for certain, and leaves out how it is made so. */
	return regs ? READ(regs->NETIO_SYSCALL_NR) : 0;
}

/* Whether `fn` may run inside `outer`. */
static __always_inline int nests(u32 outer, u32 fn)
{
	switch (fn) {
	case FN_SOCK_SENDMSG:
		return outer == FN_WRITE_ITER || outer == FN_SENDTO || outer == FN_SENDMSG ||
		       outer == FN_SENDPAGE;
	case FN_SOCK_RECVMSG:
		return outer == FN_READ_ITER || outer == FN_RECVFROM || outer == FN_RECVMSG ||
		       outer == FN_SPLICE_READ;
	case FN_READ_ITER:
		return outer == FN_SPLICE_READ;
	default:
		return 0;
	}
}

static __always_inline int enter(u64 wanted, u32 fn, struct sock *sk, u32 flags,
				 struct msghdr *msg, u64 name, u64 room)
{
	u64 id = bpf_get_current_pid_tgid();
	struct noted *outer = noted.lookup(&id), fresh = {};
	u32 nr = call_under_way();

	if (outer && nests(outer->fn, fn) && outer->nr == nr)
		return 0;
	if (!sk || !begins(id >> 32, wanted)) {
		if (outer)
			noted.delete(&id);
		return 0;
	}
	fresh.sk = sk;
	fresh.fn = fn;
	fresh.nr = nr;
	fresh.ignored = flags & (MSG_PEEK | MSG_ERRQUEUE);
	fresh.room = room;
	if (msg) {
		fresh.room = READ(msg->msg_iter.count);
		peer_from_kernel(&fresh.peer, READ(msg->msg_name));
	}
	if (name)
		peer_from_user(&fresh.peer, name);
	noted.update(&id, &fresh);
	return 0;
}

/*
 * The sender of a datagram is known when sock_recvmsg returns, inside the function that is
 * counted, which has given up its own copy when it returns itself. Of UDP it is known before,
 * from the datagram, though the caller may not have asked for it.
 */
static __always_inline int receiving(struct msghdr *msg)
{
	u64 id = bpf_get_current_pid_tgid();
	struct noted *outer = noted.lookup(&id);

	if (outer)
		outer->msg = msg;
	return 0;
}

static __always_inline void received(struct noted *outer)
{
	struct msghdr *msg = outer->msg;

	outer->msg = NULL;
	if (msg)
		peer_from_kernel(&outer->peer, READ(msg->msg_name));
}

static __always_inline int received_from(struct sk_buff *skb)
{
	u64 id = bpf_get_current_pid_tgid();
	struct noted *outer = noted.lookup(&id);

	if (outer && !READ(outer->sk->__sk_common.skc_dport))
		peer_from_skb(&outer->peer, skb);
	return 0;
}

static __always_inline int leave(u64 wanted, u32 fn, long ret, u32 dir)
{
	u64 id = bpf_get_current_pid_tgid();
	struct noted *outer = noted.lookup(&id), in;
	struct head head = {};
	struct op op = {};

	if (!outer)
		return 0;
	if (fn == FN_SOCK_RECVMSG)
		received(outer);
	/* The inner one's, where the entry of this one was missed and the return of that one. */
	if (outer->fn != fn && !nests(fn, outer->fn))
		return 0;
	in = *outer;
	noted.delete(&id);
	if (ret <= 0 || in.ignored)
		return 0;
	read_head(&head, in.sk);
	op.id = id;
	op.bytes = dir == NETIO_DIR_RECV ? delivered(ret, in.room) : ret;
	op.ops = 1;
	op.dir = dir;
	op.call = by_worker(this_task()) ? NETIO_CALL_IO_URING : call_of(in.nr);
	return account(wanted, in.sk, &head, &in.peer, &op);
}
