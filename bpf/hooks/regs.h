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
	case NR_io_uring_enter: return NETIO_CALL_IO_URING;
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
static __always_inline struct pt_regs *user_regs(void)
{
#ifdef NETIO_HAS_bpf_task_pt_regs
	struct task_struct *task = bpf_get_current_task_btf();

	return (struct pt_regs *)bpf_task_pt_regs(task);
#else
	/* Before 5.15, when all architectures kept them at the very end of the stack. */
	struct task_struct *task = (void *)bpf_get_current_task();

	return READ(task->stack) + NETIO_STACK_SIZE - sizeof(struct pt_regs);
#endif
}

/*
 * Which call is under way. Where the helper is there, the verifier knows what these registers are
 * and lets us load them, a tenth of a read's cost.
 */
static __always_inline u32 this_call(struct pt_regs *regs)
{
#ifdef NETIO_HAS_bpf_task_pt_regs
	return call_of(*(volatile typeof(regs->NETIO_SYSCALL_NR) *)&regs->NETIO_SYSCALL_NR);
#else
	return call_of(READ(regs->NETIO_SYSCALL_NR));
#endif
}
