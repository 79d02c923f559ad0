/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Back-end "syscall": entry and exit of every system call, for kernels that offer nothing better.
 *
 * Every system call of the host pays for it, so these are attached only while something is held.
 * Bytes that move outside a system call of their own are not seen (io_uring, AIO), nor are 32-bit
 * programs, whose calls have other numbers. The socket is looked up on entry (another thread may
 * close the descriptor meanwhile; the file lives until after sys_exit) and its addresses on exit
 * (a send may connect it).
 */

#define MMSG_SIZE 64		/* struct mmsghdr */
#define MMSG_LEN 56		/* its msg_len */
#define MMSG_TRUNC_MAX 64	/* messages, and buffers of each, that MSG_TRUNC is looked at for */
#define MMSG_TRUNC_IOV 8
#define MMSG_MAX 1024		/* UIO_MAXIOV, the kernel's own limit */
#define MMSG_PEERS 8

struct inflight {
	struct sock *sk;
	u64 arg1;
	u64 addr;		/* of the peer */
	u64 room;		/* bytes that can be delivered, with MSG_TRUNC */
	u32 call;
	u16 dir;
	u16 truncates;		/* MSG_TRUNC was given */
};

BPF_HASH(inflight, u64, struct inflight, 65536);

ON_ENTER
{
	u64 id = bpf_get_current_pid_tgid(), wanted = filter_of(id >> 32);
	struct inflight in = {};
	u64 flags = 0;

	if (!wanted)
		return 0;
	in.call = call_of(ENTERED);
	in.arg1 = CALL_ARG(1);
	switch (in.call) {
	case NETIO_CALL_READ:
	case NETIO_CALL_READV:
	case NETIO_CALL_PREADV2:
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVFROM:
		in.addr = CALL_ARG(4);
		flags = CALL_ARG(3);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVMSG:
		flags = CALL_ARG(2);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVMMSG:
		flags = CALL_ARG(3);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_SENDTO:
		in.addr = CALL_ARG(4);
		break;
	case NETIO_CALL_GETSOCKOPT:
		if (is_zerocopy(in.arg1, CALL_ARG(2)) && begins(id >> 32, wanted))
			zerocopy_begins(fd_sk(CALL_ARG(0)), CALL_ARG(3), CALL_ARG(4));
		return 0;
	case NETIO_CALL_SPLICE:
	case NETIO_CALL_WRITE:
	case NETIO_CALL_WRITEV:
	case NETIO_CALL_PWRITEV2:
	case NETIO_CALL_SENDMSG:
	case NETIO_CALL_SENDMMSG:
	case NETIO_CALL_SENDFILE:
		break;
	default:
		return 0;
	}
	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	in.room = NO_LIMIT;
	in.truncates = !!(flags & MSG_TRUNC);
	if (in.truncates && in.call == NETIO_CALL_RECVFROM)
		in.room = CALL_ARG(2);
	else if (in.truncates && in.call == NETIO_CALL_RECVMSG)
		in.room = room_of_msghdr(in.arg1, MAX_IOV);
	in.sk = fd_sk(CALL_ARG(0));
	if (in.call == NETIO_CALL_SPLICE) {
		if (in.sk)
			in.dir = NETIO_DIR_RECV;
		else
			in.sk = fd_sk(CALL_ARG(2));
	}
	if (in.sk && begins(id >> 32, wanted))
		inflight.update(&id, &in);
	else
		inflight.delete(&id);	/* what a call left that was not seen to end */
	return 0;
}

/* Bytes of one struct mmsghdr in user memory: with MSG_TRUNC, what it had room for. */
static __always_inline u64 mmsg_one(u64 message, u32 truncates)
{
	u32 len = 0;

	bpf_probe_read_user(&len, sizeof(len), (void *)(message + MMSG_LEN));
	return truncates ? delivered(len, room_of_msghdr(message, MMSG_TRUNC_IOV)) : len;
}

/* Bytes of `n` messages that recvmmsg(2) has received with MSG_TRUNC. */
static __always_inline u64 mmsg_delivered(u64 array, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < MMSG_TRUNC_MAX; i++) {
		asm volatile("" : "+r"(i));
		if (i >= n)
			break;
		sum += mmsg_one(array + i * MMSG_SIZE, 1);
	}
	return sum;
}

/* Bytes of the messages from number `first` to before number `n`. */
static __always_inline u64 mmsg_bytes(u64 array, u32 first, u32 n)
{
	u64 sum = 0;

	for (u32 i = first; i < MMSG_MAX; i++) {
		/* Keeps clang from folding the loop into a form the verifier cannot bound. */
		asm volatile("" : "+r"(i));
		if (i >= n)
			break;
		sum += mmsg_one(array + i * MMSG_SIZE, 0);
	}
	return sum;
}

/*
 * sendmmsg(2) or recvmmsg(2) on an unconnected socket: each message has a peer of its own.
 *
 * All that a turn needs is read anew from the map and the socket: what the verifier knew of it
 * from the turn before would make each turn another one to it, until it gives up.
 */
static __always_inline int account_mmsg(u64 id, u64 wanted, struct inflight *in, u32 n)
{
	struct proc *proc = counted(id >> 32, &wanted);
	struct head head = {};
	struct op op = {};

	if (!proc)
		return 0;
	for (u32 i = 0; i < MMSG_PEERS; i++) {
		u64 message = in->arg1 + i * MMSG_SIZE;
		struct peer peer = {};

		asm volatile("" : "+r"(i));
		if (i >= n)
			return 0;
		peer_from_msghdr(&peer, message);
		op.id = id;
		op.bytes = mmsg_one(message, in->truncates);
		op.ops = 1;
		op.dir = in->dir;
		op.call = in->call;
		read_head(&head, in->sk);
		account_to(proc, wanted, in->sk, &head, &peer, &op);
	}
	if (n <= MMSG_PEERS)
		return 0;
	op.id = id;
	op.bytes = mmsg_bytes(in->arg1, MMSG_PEERS, n);
	op.ops = n - MMSG_PEERS;
	op.dir = in->dir;
	op.call = in->call;
	read_head(&head, in->sk);
	return account_to(proc, wanted, in->sk, &head, NULL, &op);
}

static __always_inline int succeeded(u64 id, u64 wanted, struct inflight *in, long ret)
{
	struct peer peer = {};
	struct head head = {};
	struct op op = {};

	read_head(&head, in->sk);
	op.id = id;
	op.bytes = delivered(ret, in->room);
	op.ops = 1;
	op.dir = in->dir;
	op.call = in->call;
	if (in->call == NETIO_CALL_SENDMMSG || in->call == NETIO_CALL_RECVMMSG) {
		if (is_unconnected(&head))
			return account_mmsg(id, wanted, in, ret);
		op.ops = ret;
		op.bytes = in->truncates && ret <= MMSG_TRUNC_MAX ? mmsg_delivered(in->arg1, ret)
								  : mmsg_bytes(in->arg1, 0, ret);
	} else if (is_unconnected(&head)) {
		if (in->call == NETIO_CALL_SENDTO || in->call == NETIO_CALL_RECVFROM)
			peer_from_user(&peer, in->addr);
		else if (in->call == NETIO_CALL_SENDMSG || in->call == NETIO_CALL_RECVMSG)
			peer_from_msghdr(&peer, in->arg1);
	}
	return account(wanted, in->sk, &head, &peer, &op);
}

ON_EXIT
{
	u64 id = bpf_get_current_pid_tgid();
	u64 wanted = filter_of(id >> 32);
	struct inflight *in;
	u32 call;

	if (!wanted)
		return 0;
	call = call_of(EXITED);
	if (call == NETIO_CALL_GETSOCKOPT)
		return zerocopy_ends(wanted, CALL_RESULT);
	in = inflight.lookup(&id);
	if (!in)
		return 0;
	if (CALL_RESULT > 0 && call == in->call)
		succeeded(id, wanted, in, CALL_RESULT);
	inflight.delete(&id);
	return 0;
}
