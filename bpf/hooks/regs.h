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
