/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the system call under way says: its name, and the peer that it names. */

static __always_inline u32 call_of(u64 nr)
{
	switch (nr) {
	case NR_read: return NETIO_CALL_READ;
	case NR_readv: return NETIO_CALL_READV;
	case NR_preadv:
	case NR_preadv2: return NETIO_CALL_PREADV2;
	case NR_recvfrom: return NETIO_CALL_RECVFROM;
	case NR_recvmsg: return NETIO_CALL_RECVMSG;
	case NR_recvmmsg: return NETIO_CALL_RECVMMSG;
	case NR_write: return NETIO_CALL_WRITE;
	case NR_writev: return NETIO_CALL_WRITEV;
	case NR_pwritev:
	case NR_pwritev2: return NETIO_CALL_PWRITEV2;
	case NR_sendto: return NETIO_CALL_SENDTO;
	case NR_sendmsg: return NETIO_CALL_SENDMSG;
	case NR_sendmmsg: return NETIO_CALL_SENDMMSG;
	case NR_sendfile: return NETIO_CALL_SENDFILE;
	case NR_splice: return NETIO_CALL_SPLICE;
	case NR_io_submit: return NETIO_CALL_AIO;
	case NR_io_uring_setup:
	case NR_io_uring_enter: return NETIO_CALL_IO_URING;
	case NR_getsockopt: return NETIO_CALL_GETSOCKOPT;
	default: return NETIO_CALL_UNKNOWN;
	}
}

/* msg_name of a struct user_msghdr, for an unconnected socket. */
static __always_inline void peer_from_msghdr(struct peer *peer, u64 msghdr)
{
	u64 name = 0;

	if (!bpf_probe_read_user(&name, sizeof(name), (void *)msghdr))
		peer_from_user(peer, name);
}

#define IOU_ 0x2d756f69	/* "iou-", little-endian */
#define NO_LIMIT (~0ULL)
#define MAX_IOV 64		/* buffers of one message that are looked at */

/* Room in the first `most` buffers of a struct user_msghdr: msg_iov, msg_iovlen. */
static __always_inline u64 room_of_msghdr(u64 msghdr, u32 most)
{
	struct { u64 iov, count; } m = {};
	struct { u64 base, len; } one;
	u64 room = 0;

	if (bpf_probe_read_user(&m, sizeof(m), (void *)(msghdr + 16)))
		return NO_LIMIT;
	for (u32 i = 0; i < most; i++) {
		asm volatile("" : "+r"(i));
		if (i >= m.count || bpf_probe_read_user(&one, sizeof(one), (void *)(m.iov + i * 16)))
			break;
		room += one.len;
	}
	return room;
}

/*
 * With MSG_TRUNC a datagram's whole length is returned, whatever fitted: what was delivered is no
 * more than there was room for.
 */
static __always_inline u64 delivered(u64 ret, u64 room)
{
	return room < ret ? room : ret;
}

/* The registers that the thread entered the kernel with. */
static __always_inline struct pt_regs *user_regs(struct task_struct *task)
{
#ifdef NETIO_KFUNC_bpf_rdonly_cast
	/* How far above its stack's end they lie is the same for every thread: asked for once. */
	u64 stack = (u64)LOAD(task->stack);
	u32 index = NETIO_CONFIG_REGS;
	u64 *offset = config.lookup(&index);

	if (!offset)
		return NULL;
	if (!*offset) {
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

		*offset = (u64)READ(regs) - stack;	/* READ: as a number */
	}
	return KNOWN(pt_regs, (void *)(stack + *offset));
#elif defined(NETIO_HAS_bpf_task_pt_regs)
	return (struct pt_regs *)bpf_task_pt_regs(task);
#else
	/* Before 5.15, when all architectures kept them at the very end of the stack. */
	return READ(task->stack) + NETIO_STACK_SIZE - sizeof(struct pt_regs);
#endif
}

/*
 * Whether the thread is one of io_uring's own, iou-wrk-PID or iou-sqp-PID: the registers that it was
 * given are those of whatever call its maker was in. (The flag for it has had two values.)
 */
static __always_inline int by_worker(struct task_struct *task)
{
	u32 name = 0;

#ifdef NETIO_HAS_bpf_task_pt_regs
	name = AS_LOADED(*(u32 *)task->comm);
#else
	bpf_probe_read_kernel(&name, sizeof(name), task->comm);
#endif
	return name == IOU_;
}

/* Which call is under way. */
static __always_inline u32 this_call(struct task_struct *task, struct pt_regs *regs)
{
	if (by_worker(task))
		return NETIO_CALL_IO_URING;
	if (!regs)	/* never, but only since 6.14 the verifier knows */
		return NETIO_CALL_UNKNOWN;
#ifdef NETIO_HAS_bpf_task_pt_regs
	return call_of(AS_LOADED(regs->NETIO_SYSCALL_NR));
#else
	return call_of(READ(regs->NETIO_SYSCALL_NR));
#endif
}

/*
 * What getsockopt(TCP_ZEROCOPY_RECEIVE) has received: `length` bytes mapped and `copybuf_len` copied,
 * of struct tcp_zerocopy_receive (uapi/linux/tcp.h) at `optval`. How much of the struct a kernel
 * knows it says in *optlen; what it does not know is still as the process wrote it.
 */
static __always_inline int zerocopy_received(u64 wanted, struct sock *sk, u64 optval, u64 optlen)
{
	struct head head = {};
	struct op op = {};
	u32 mapped = 0, copied = 0, known = 0;

	if (!sk || bpf_probe_read_user(&known, sizeof(known), (void *)optlen) ||
	    bpf_probe_read_user(&mapped, sizeof(mapped), (void *)(optval + 8)))
		return 0;
	if (known >= 36 && bpf_probe_read_user(&copied, sizeof(copied), (void *)(optval + 32)))
		return 0;
	read_head(&head, sk);
	op.id = bpf_get_current_pid_tgid();
	op.bytes = (u64)mapped + copied;
	op.ops = 1;
	op.dir = NETIO_DIR_RECV;
	op.call = NETIO_CALL_GETSOCKOPT;
	return account(wanted, sk, &head, NULL, &op);
}
