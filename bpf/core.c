/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sockets and connections: identify, account, emit. Every back-end in hooks/ ends in account().
 */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define SUN_PATH_OFFSET 2
#define PIDTYPE_TGID 1
#define TCP_ESTABLISHED 1
#define IPPROTO_TCP 6
#define TCP_ZEROCOPY_RECEIVE 35
#define ETH_P_IP 0x0800

/* The far end of one datagram, where the socket itself is not connected. */
struct peer {
	u16 family;
	u16 port;		/* network byte order */
	u8 addr[16];
};

/* One operation, as a back-end saw it. */
struct op {
	u64 time;		/* for events; see account_to() */
	u64 id;			/* bpf_get_current_pid_tgid() */
	u64 bytes;
	u64 ops;
	u32 call;
	u32 dir;
	u32 error;		/* errno; then it moved no bytes and is no operation */
};

/* That there is nothing yet, or no room yet, is no failure; from 512 on no process sees them. */
#define EAGAIN 11
#define EINPROGRESS 115
#define ERESTARTSYS 512

static __always_inline u32 error_of(long ret)
{
	return ret < 0 && ret > -ERESTARTSYS && ret != -EAGAIN && ret != -EINPROGRESS ? -ret : 0;
}

static __always_inline u16 swap16(u16 v)
{
	return v << 8 | v >> 8;
}

/* The socket behind an open file, or NULL: only a socket's private_data is a struct socket. */
static __always_inline struct sock *file_sk(struct file *file)
{
	struct inode *inode;
	struct socket *socket;

	if (!file)
		return NULL;
	inode = READ(file->f_inode);
	if ((READ(inode->i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = READ(file->private_data);
	return socket ? READ(socket->sk) : NULL;
}

static __always_inline struct sock *fd_sk(u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct files_struct *files = READ(task->files);
	struct fdtable *fdt;
	struct file **table;

	if (!files)
		return NULL;
	fdt = READ(files->fdt);
	if (fd >= READ(fdt->max_fds))
		return NULL;
	table = READ(fdt->fd);
	return file_sk(READ(table[fd]));
}

/* A sockaddr in kernel memory, or one that the process handed to the kernel (`user`). */
static __always_inline void read_peer(struct peer *peer, void *addr, int user)
{
	struct { u16 family; u16 port; u8 rest[24]; } sa = {};

	if (!addr || (user ? bpf_probe_read_user(&sa, 8, addr) : bpf_probe_read_kernel(&sa, 8, addr)))
		return;
	if (sa.family == AF_INET) {
		__builtin_memcpy(peer->addr, sa.rest, 4);
	} else if (sa.family == AF_INET6) {
		if (user ? bpf_probe_read_user(&sa, 24, addr) : bpf_probe_read_kernel(&sa, 24, addr))
			return;
		__builtin_memcpy(peer->addr, sa.rest + 4, 16);
	} else {
		return;
	}
	peer->family = sa.family;
	peer->port = sa.port;
}

/* A process can lie about its peer here, but only about its own. */
static __always_inline void peer_from_user(struct peer *peer, u64 addr)
{
	read_peer(peer, (void *)addr, 1);
}

static __always_inline void peer_from_kernel(struct peer *peer, void *addr)
{
	read_peer(peer, addr, 0);
}

/* The sender of a UDP datagram that was received. */
static __always_inline void peer_from_skb(struct peer *peer, struct sk_buff *skb)
{
	void *head = READ(skb->head), *ip = head + READ(skb->network_header);

	peer->port = READ(*(u16 *)(head + READ(skb->transport_header)));
	if (READ(skb->protocol) == swap16(ETH_P_IP)) {
		peer->family = AF_INET;
		bpf_probe_read_kernel(peer->addr, 4, ip + 12);
	} else {
		peer->family = AF_INET6;
		bpf_probe_read_kernel(peer->addr, 16, ip + 8);
	}
}

/* The part of a socket that every operation needs. */
struct head {
	u32 daddr;		/* network byte order */
	u16 dport;		/* network byte order */
	u16 num;		/* own port, host byte order */
	u16 family;
	u16 state;
};

#ifdef NETIO_KFUNC_bpf_rdonly_cast
static __always_inline void read_head(struct head *head, struct sock *sk)
{
	struct sock_common *common = KNOWN(sock_common, sk);

	head->daddr = LOAD(common->skc_daddr);
	head->dport = LOAD(common->skc_dport);
	head->num = LOAD(common->skc_num);
	head->family = LOAD(common->skc_family);
	head->state = LOAD(common->skc_state);
}
#else
/* In one go: a read costs as much as a hash look-up. These fields are a socket's first everywhere. */
struct head_words {
	u64 words[3];
};
#define IN_HEAD(field) \
	_Static_assert(__builtin_offsetof(struct sock_common, field) + 4 <= \
		       sizeof(struct head_words), #field)
IN_HEAD(skc_daddr);
IN_HEAD(skc_dport);
IN_HEAD(skc_num);
IN_HEAD(skc_family);
IN_HEAD(skc_state);

static __always_inline void read_head(struct head *head, struct sock *sk)
{
	struct head_words first = {};
	struct sock_common *common = (void *)&first;

	bpf_probe_read_kernel(&first, sizeof(first), sk);
	head->daddr = common->skc_daddr;
	head->dport = common->skc_dport;
	head->num = common->skc_num;
	head->family = common->skc_family;
	head->state = common->skc_state;
}
#endif

static __always_inline int is_inet(u16 family)
{
	return family == AF_INET || family == AF_INET6;
}

/* Raw sockets have peers without ports. */
static __always_inline int is_connected(struct head *head)
{
	return head->dport || head->state == TCP_ESTABLISHED;
}

/* Datagrams to an address named in the call: the socket does not know the peer. */
static __always_inline int is_unconnected(struct head *head)
{
	return !is_connected(head) && is_inet(head->family);
}

static __always_inline u64 inode_of(struct sock *sk)
{
	struct socket *socket = READ(sk->sk_socket);

	if (!socket)
		return 0;
	/* net/socket.c allocates both together: SOCK_INODE() */
	return READ(((struct socket_alloc *)((void *)socket -
		__builtin_offsetof(struct socket_alloc, socket)))->vfs_inode.i_ino);
}

static __always_inline void make_key(struct conn_key *key, struct proc *proc, u32 tgid,
				     struct sock *sk, struct head *head, struct peer *peer)
{
	key->sock = (u64)sk;
	key->tgid = tgid;
	key->start = proc->start;
	key->family = head->family;
	if (!is_inet(key->family)) {
		*(u64 *)key->raddr = inode_of(sk);
		return;
	}
	key->lport = head->num;
	if (is_connected(head)) {
		key->rport = head->dport;
		if (key->family == AF_INET)
			*(u32 *)key->raddr = head->daddr;
#ifndef NETIO_LACKS_sock_common_skc_v6_daddr
		else
			bpf_probe_read_kernel(key->raddr, 16, &sk->__sk_common.skc_v6_daddr);
#endif
	} else if (peer && peer->family) {
		key->rport = peer->port;
		if (peer->family == key->family) {
			__builtin_memcpy(key->raddr, peer->addr, 16);
		} else if (peer->family == AF_INET) {
			/* ::ffff:a.b.c.d */
			*(u16 *)(key->raddr + 10) = 0xffff;
			__builtin_memcpy(key->raddr + 12, peer->addr, 4);
		}
	}
}

/* What a connection is, once for each. */
static __always_inline void identify(struct ident *ident, struct conn_key *key,
				     struct proc *proc, struct sock *sk)
{
	ident->start = proc->start;
	ident->tgid = key->tgid;
	ident->family = key->family;
	ident->type = READ(sk->sk_type);
	ident->proto = READ(sk->sk_protocol);
	if (!is_inet(key->family)) {
		ident->inode = *(u64 *)key->raddr;
		return;
	}
	if (key->family == AF_INET)
		*(u32 *)ident->laddr = READ(sk->__sk_common.skc_rcv_saddr);
#ifndef NETIO_LACKS_sock_common_skc_v6_daddr
	else
		bpf_probe_read_kernel(ident->laddr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
#endif
	/* Not skc_num: the kernel clears that when a connection closes, with data still to be read. */
	ident->lport = swap16(READ(((struct inet_sock *)sk)->inet_sport));
	ident->rport = swap16(key->rport);
	__builtin_memcpy(ident->raddr, key->raddr, 16);
}

static __always_inline u16 unix_name(u8 *to, struct sock *sk)
{
	struct unix_address *addr = sk ? READ(((struct unix_sock *)sk)->addr) : NULL;
	u64 len;

	if (!addr)
		return 0;
	len = (u32)READ(addr->len) - SUN_PATH_OFFSET;
	/* The verifier must see the bound on the very register that is passed: no copy from before. */
	asm volatile("" : "+r"(len));
	if (len > 108)
		return 0;
	asm volatile("" : "+r"(len));
	if (bpf_probe_read_kernel(to, len, addr->name + SUN_PATH_OFFSET))
		return 0;
	return len;
}

/* The name of a process, from the struct pid that outlives it; empty where it is gone. */
static __always_inline void name_of(u8 *comm, struct pid *pid)
{
	void *links = pid ? READ(pid->tasks[PIDTYPE_TGID]) : NULL;
	struct task_struct *leader;

	if (!links)
		return;
	leader = links - __builtin_offsetof(struct task_struct, pid_links) -
		 PIDTYPE_TGID * 2 * sizeof(void *);	/* struct hlist_node */
	bpf_probe_read_kernel_str(comm, 16, leader->comm);
}

/* Tell the broker what an id in the events means. Done again after each change of epoch. */
static __always_inline void announce_unix(struct conn *conn, struct conn_key *key,
					  struct sock *sk, u32 epoch)
{
	struct meta_unix *m = meta.ringbuf_reserve(sizeof(struct meta_unix));
	struct unix_names *n, *no_names;
	u32 id = conn->id, zero = 0;

	if (!m) {
		count(NETIO_STAT_META_LOST);
		return;
	}
	__builtin_memset(m, 0, sizeof(*m));
	m->kind = NETIO_META_UNIX;
	m->id = id;
	m->peer_pid = conn->peer_pid;
	m->key = *key;
	m->ident = conn->ident;
	/* Built in the map: only since 6.2 may a map be updated from a record of a ring. */
	no_names = nameless.lookup(&zero);
	if (no_names)
		names.update(&id, no_names);
	n = names.lookup(&id);
	if (n) {
		n->local_len = unix_name(n->local, sk);
		n->remote_len = unix_name(n->remote, READ(((struct unix_sock *)sk)->peer));
		name_of(n->peer_comm, READ(sk->sk_peer_pid));
		m->names = *n;
	}
	meta.ringbuf_submit(m, 0);
	conn->epoch = epoch;
}

static __always_inline void announce(struct conn *conn, struct conn_key *key, u32 epoch)
{
	struct meta_conn *m = meta.ringbuf_reserve(sizeof(struct meta_conn));

	if (!m) {
		count(NETIO_STAT_META_LOST);
		return;
	}
	m->kind = NETIO_META_CONN;
	m->id = conn->id;
	m->peer_pid = conn->peer_pid;
	m->pad = 0;
	m->key = *key;
	m->ident = conn->ident;
	meta.ringbuf_submit(m, 0);
	conn->epoch = epoch;
}

/* A number that no other connection has; 0, "no row", comes up once in 2^32 and is passed over. */
static __always_inline u32 new_id(void)
{
	u32 zero = 0, id;
	u64 *next = next_id.lookup(&zero);

	if (!next)
		return 0;
#ifdef NETIO_HAS_atomic_fetch
	/* Minus minus one: LLVM 21 refuses to compile the result of an addition. */
	id = __sync_fetch_and_sub(next, -1ULL) + 1;
	if (!id)
		id = __sync_fetch_and_sub(next, -1ULL) + 1;
#else
	/* Of a share for each CPU: where this is built, programs are not preempted. */
	id = (++*next) * NETIO_CPUS + bpf_get_smp_processor_id();
	if (!id)
		id = (++*next) * NETIO_CPUS + bpf_get_smp_processor_id();
#endif
	return id;
}

/* A row that nobody uses; 0 if there is one. */
static __always_inline int take_row(u32 *number)
{
#ifdef NETIO_HAS_atomic_fetch
	u32 zero = 0;
	u64 *next = next_row.lookup(&zero);

	/* Minus minus one: as in new_id(). */
	if (next && *next < NETIO_MAX_CONNECTIONS) {
		*number = __sync_fetch_and_sub(next, -1ULL);
		if (*number < NETIO_MAX_CONNECTIONS)
			return 0;
	}
#endif
	return free_rows.pop(number);
}

static __always_inline u32 near_of(struct conn_key *key)
{
	u64 *word = (u64 *)key;
	u64 mixed = word[0] ^ word[1] ^ word[2] ^ word[3] ^ word[4];

	return mixed * 0x9e3779b97f4a7c15 >> (64 - NETIO_NEAR_BITS);
}

static __always_inline int same_key(struct conn_key *a, struct conn_key *b)
{
	u64 *x = (u64 *)a, *y = (u64 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}
_Static_assert(sizeof(struct conn_key) == 40, "near_of(), same_key()");
_Static_assert(sizeof(struct conn) % 64 == 0, "cache lines");

static __always_inline struct conn *conn_of(struct conn_key *key)
{
	u32 at = near_of(key), number, *found;
	u32 *last = near.lookup(&at);
	struct conn *row;

	if (!last)
		return NULL;
	number = *last;
	row = rows.lookup(&number);
	if (row && same_key(&row->key, key))
		return row;
	found = conns.lookup(key);
	if (!found)
		return NULL;
	*last = number = *found;
	return rows.lookup(&number);
}

/* The row has its key only when it is found by it: until then near leads nobody there. */
static __always_inline struct conn *conn_new(struct conn_key *key, struct proc *proc,
					     struct sock *sk)
{
	struct conn fresh = {}, *row;
	u32 number = 0;

	identify(&fresh.ident, key, proc, sk);
	fresh.id = new_id();
	if (!fresh.id || take_row(&number))
		return NULL;
	if (key->family == AF_UNIX) {
		struct pid *pid = READ(sk->sk_peer_pid);

		if (pid)
			fresh.peer_pid = READ(pid->numbers[0].nr);
	}
	row = rows.lookup(&number);
	if (!row)
		return NULL;
	*row = fresh;
	if (conns.insert(key, &number)) {
		/* Another CPU was first: its row serves. */
		free_rows.push(&number, 0);
		return conn_of(key);
	}
	row->key = *key;
	return row;
}

static __always_inline void emit(struct proc *proc, struct conn *conn, struct op *op)
{
	struct event *e = events.ringbuf_reserve(sizeof(struct event));

	if (!e) {
		ADD(proc->lost, 1);
		count(NETIO_STAT_EVENTS_LOST);
		return;
	}
	e->time = op->time;
	e->tgid = op->id >> 32;
	e->tid = op->id;
	e->conn = conn ? conn->id : 0;
	e->bytes = op->bytes > 0xffffffff ? 0xffffffff : op->bytes;
	e->lost = proc->lost;
	e->dir = op->dir;
	e->call = op->call;
	e->error = op->error;
	events.ringbuf_submit(e, 0);
}

/*
 * Count one operation of the current process, `proc`, on `sk` and, where someone is watching, say
 * so.
 *
 * The row is counted before the total: whoever reads the total first and the rows after finds
 * rows that add up to at least the total, so a difference means bytes without a row, never a
 * count under way.
 */
static __always_inline int account_to(struct proc *proc, u64 wanted, struct sock *sk,
				      struct head *head, struct peer *peer, struct op *op)
{
	struct conn_key key = {};
	struct conn *conn;
	u32 epoch;

	if (!op->bytes && !(op->error && wanted & NETIO_FILTER_ERRORS))
		return 0;
	if (head->family == AF_NETLINK && !configured(NETIO_CONFIG_NETLINK))
		return 0;
	/* Reading the clock waits for all that is under way: cheaper here than after the counting. */
	if (wanted & NETIO_FILTER_STREAM)
		op->time = bpf_ktime_get_ns();
	make_key(&key, proc, op->id >> 32, sk, head, peer);
	conn = conn_of(&key);
	if (!conn)
		conn = conn_new(&key, proc, sk);
	if (conn) {
		epoch = configured(NETIO_CONFIG_EPOCH);
		if (conn->epoch != epoch) {
			if (key.family == AF_UNIX)
				announce_unix(conn, &key, sk, epoch);
			else
				announce(conn, &key, epoch);
		}
		if (op->dir == NETIO_DIR_SEND) {
			ADD(conn->sent_bytes, op->bytes);
			ADD(conn->send_ops, op->ops);
		} else {
			ADD(conn->recv_bytes, op->bytes);
			ADD(conn->recv_ops, op->ops);
		}
		conn->last = bpf_jiffies64();
	} else {
		count(NETIO_STAT_CONNS_FULL);
	}
	if (op->dir == NETIO_DIR_SEND) {
		ADD(proc->sent_bytes, op->bytes);
		ADD(proc->send_ops, op->ops);
	} else {
		ADD(proc->recv_bytes, op->bytes);
		ADD(proc->recv_ops, op->ops);
	}
	if (wanted & NETIO_FILTER_STREAM)
		emit(proc, conn, op);
	return 0;
}

static __always_inline int account(u64 wanted, struct sock *sk, struct head *head,
				   struct peer *peer, struct op *op)
{
	struct proc *proc = counted(op->id >> 32, &wanted);

	return proc ? account_to(proc, wanted, sk, head, peer, op) : 0;
}
