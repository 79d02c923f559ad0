/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Back-end "syscall": raw sys_enter and sys_exit, for kernels that offer nothing better.
 *
 * Every system call of the host pays for it, and bytes that move outside a system call of their
 * own are not seen: io_uring, AIO, getsockopt(TCP_ZEROCOPY_RECEIVE). The socket is looked up on
 * entry (another thread may close the descriptor meanwhile; the file lives until after sys_exit)
 * and its addresses on exit (a send may connect it).
 */

#define MMSG_SIZE 64		/* struct mmsghdr */
#define MMSG_LEN 56		/* its msg_len */
#define MMSG_TRUNC_MAX 64	/* messages, and buffers of each, that MSG_TRUNC is looked at for */
#define MMSG_TRUNC_IOV 8
#define MMSG_MAX 1024		/* UIO_MAXIOV, the kernel's own limit */

struct inflight {
	struct sock *sk;
	u64 arg1;
	u64 addr;
	u64 room;		/* bytes that can be delivered, with MSG_TRUNC */
	u32 call;
	u16 dir;
	u16 truncates;		/* MSG_TRUNC was given */
};

BPF_HASH(inflight, u64, struct inflight, 65536);

RAW_TRACEPOINT_PROBE(sys_enter)
{
	u64 id = bpf_get_current_pid_tgid();
	struct pt_regs *regs = (void *)ctx->args[0];
	struct inflight in = {};
	u64 flags = 0;

	if (!filter_of(id >> 32))
		return 0;
	in.call = call_of(ctx->args[1]);
	in.arg1 = READ(regs->NETIO_ARG1);
	switch (in.call) {
	case NETIO_CALL_READ:
	case NETIO_CALL_READV:
	case NETIO_CALL_PREADV2:
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVFROM:
		in.addr = READ(regs->NETIO_ARG4);
		flags = READ(regs->NETIO_ARG3);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVMSG:
		flags = READ(regs->NETIO_ARG2);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_RECVMMSG:
		flags = READ(regs->NETIO_ARG3);
		in.dir = NETIO_DIR_RECV;
		break;
	case NETIO_CALL_SENDTO:
		in.addr = READ(regs->NETIO_ARG4);
		break;
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
		in.room = READ(regs->NETIO_ARG2);
	else if (in.truncates && in.call == NETIO_CALL_RECVMSG)
		in.room = room_of_msghdr(in.arg1, MAX_IOV);
	in.sk = fd_sk(READ(regs->NETIO_ARG0));
	if (in.call == NETIO_CALL_SPLICE) {
		if (in.sk)
			in.dir = NETIO_DIR_RECV;
		else
			in.sk = fd_sk(READ(regs->NETIO_ARG2));
	}
	if (in.sk)
		inflight.update(&id, &in);
	else
		inflight.delete(&id);	/* what a call left that was not seen to end */
	return 0;
}

/* What recvmmsg(2) delivered with MSG_TRUNC: of each message, what it had room for. */
static __always_inline u64 mmsg_delivered(u64 array, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < MMSG_TRUNC_MAX; i++) {
		u64 message = array + i * MMSG_SIZE;
		u32 len = 0;

		asm volatile("" : "+r"(i));
		if (i >= n)
			break;
		bpf_probe_read_user(&len, sizeof(len), (void *)(message + MMSG_LEN));
		sum += delivered(len, room_of_msghdr(message, MMSG_TRUNC_IOV));
	}
	return sum;
}

/* Bytes of the first `n` messages of a struct mmsghdr array in user memory. */
static __always_inline u64 mmsg_bytes(u64 array, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < MMSG_MAX; i++) {
		u32 len = 0;

		/* Keeps clang from folding the loop into a form the verifier cannot bound. */
		asm volatile("" : "+r"(i));
		if (i >= n)
			break;
		bpf_probe_read_user(&len, sizeof(len), (void *)(array + i * MMSG_SIZE + MMSG_LEN));
		sum += len;
	}
	return sum;
}

RAW_TRACEPOINT_PROBE(sys_exit)
{
	u64 id = bpf_get_current_pid_tgid();
	u64 wanted = filter_of(id >> 32);
	long ret = ctx->args[1];
	struct inflight *found, in;
	struct pt_regs *regs;
	struct peer peer = {};
	struct head head = {};
	struct op op = {};

	if (!wanted)
		return 0;
	found = inflight.lookup(&id);
	if (!found)
		return 0;
	in = *found;
	inflight.delete(&id);
	regs = (void *)ctx->args[0];
	if (ret <= 0 || call_of(READ(regs->NETIO_SYSCALL_NR)) != in.call)
		return 0;
	read_head(&head, in.sk);
	op.bytes = delivered(ret, in.room);
	op.ops = 1;
	op.dir = in.dir;
	op.call = in.call;
	if (in.call == NETIO_CALL_SENDMMSG || in.call == NETIO_CALL_RECVMMSG) {
		op.ops = ret;
		op.bytes = in.truncates && ret <= MMSG_TRUNC_MAX ? mmsg_delivered(in.arg1, ret)
								 : mmsg_bytes(in.arg1, ret);
	} else if (is_unconnected(&head)) {
		if (in.call == NETIO_CALL_SENDTO || in.call == NETIO_CALL_RECVFROM)
			peer_from_user(&peer, in.addr);
		else if (in.call == NETIO_CALL_SENDMSG || in.call == NETIO_CALL_RECVMSG)
			peer_from_msghdr(&peer, in.arg1);
	}
	return account(wanted, in.sk, &head, &peer, &op);
}
