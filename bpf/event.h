/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Layouts and numbers that the kernel side and user space share: their only definition.
 *
 * netioctl/wire/layout.py parses this file and refuses what it does not know: one field a line,
 * fixed-width types, padding spelled out, a comment with the unit. Constants are
 * "#define NETIO_<GROUP>_<NAME> <number>"; where user space shows one, it shows its lower-case NAME.
 */

#define NETIO_DIR_SEND 0
#define NETIO_DIR_RECV 1

/* By which call bytes were moved. Never renumber: recordings and viewers keep them. */
#define NETIO_CALL_UNKNOWN 0
#define NETIO_CALL_READ 1
#define NETIO_CALL_READV 2
#define NETIO_CALL_PREADV2 3
#define NETIO_CALL_RECVFROM 4
#define NETIO_CALL_RECVMSG 5
#define NETIO_CALL_RECVMMSG 6
#define NETIO_CALL_WRITE 7
#define NETIO_CALL_WRITEV 8
#define NETIO_CALL_PWRITEV2 9
#define NETIO_CALL_SENDTO 10
#define NETIO_CALL_SENDMSG 11
#define NETIO_CALL_SENDMMSG 12
#define NETIO_CALL_SENDFILE 13
#define NETIO_CALL_SPLICE 14
#define NETIO_CALL_AIO 15
#define NETIO_CALL_IO_URING 16
#define NETIO_CALL_GETSOCKOPT 17

/* What the filter holds for a process: four bits each. */
#define NETIO_FILTER_COUNT 1
#define NETIO_FILTER_STREAM 2

/* Kinds of records in the meta ring. */
#define NETIO_META_CONN 1
#define NETIO_META_UNIX 2
#define NETIO_META_EXIT 3
#define NETIO_META_COMM 4

/* Indices of the stats array. */
#define NETIO_STAT_EVENTS_LOST 0
#define NETIO_STAT_META_LOST 1
#define NETIO_STAT_CONNS_FULL 2
#define NETIO_STAT_COUNT 3

/* Indices of the config array. */
#define NETIO_CONFIG_EPOCH 0
#define NETIO_CONFIG_NETLINK 1
/* Bytes from the end of a thread's kernel stack to its user registers; found by the kernel side. */
#define NETIO_CONFIG_REGS 2
#define NETIO_CONFIG_COUNT 3

/* One operation on a socket: a record of the events ring. */
struct event {
	u64 time;		/* ns, CLOCK_MONOTONIC, when the operation ended */
	u32 tgid;		/* process, as the daemon's PID namespace numbers it */
	u32 tid;		/* thread that moved the bytes */
	u32 conn;		/* struct conn's id; 0: the connection has no row */
	u32 bytes;		/* bytes moved */
	u32 lost;		/* events of this process lost before this one, modulo 2^32 */
	u8 dir;			/* NETIO_DIR_* */
	u8 call;		/* NETIO_CALL_* */
	u16 pad;		/* 0 */
};

/* Key of the processes that have exited, and part of every connection's key. */
struct proc_key {
	u64 start;		/* clock ticks (10 ms) since boot, /proc/PID/stat field 22 */
	u32 tgid;		/* process */
	u32 pad;		/* 0 */
};

/* Counters of one process: an element of the array cells, and value of the map exited (by proc_key). */
struct proc {
	u64 sent_bytes;		/* bytes since it was attached */
	u64 recv_bytes;		/* bytes since it was attached */
	u64 send_ops;		/* operations since it was attached */
	u64 recv_ops;		/* operations since it was attached */
	u64 lost;		/* events that found no room in the ring */
	u64 since;		/* ns, CLOCK_MONOTONIC, when it was attached */
	u64 until;		/* ns, CLOCK_MONOTONIC, when it exited; 0: it lives */
	u64 start;		/* clock ticks since boot: tells a reused PID from the first */
	u64 tgid;		/* process; 0: the cell is free */
};

/* Who added a process: value of the map holds, by proc_key. Written and read by user space only. */
struct hold {
	u32 uid;		/* who added it */
	u32 pad;		/* 0 */
};

/* A connection as its process sees it. */
struct ident {
	u64 start;		/* clock ticks since boot, of the process */
	u32 tgid;		/* process */
	u16 family;		/* AF_* */
	u16 type;		/* SOCK_* */
	u16 proto;		/* IPPROTO_*; 0 for unix sockets */
	u16 lport;		/* own port, host byte order; 0: none */
	u16 rport;		/* peer's port, host byte order; 0: unknown */
	u16 pad;		/* 0 */
	u8 laddr[16];		/* own address, network byte order; IPv4 in the first four */
	u8 raddr[16];		/* peer's address, likewise */
	u64 inode;		/* inode number of the socket, if not of an inet family; else 0 */
};

/*
 * Key of the conns map: the least that tells connections apart, since it is read and compared at
 * every operation. The address of a socket is used again when it is closed, hence the rest.
 */
struct conn_key {
	u64 sock;		/* address of struct sock in the kernel; never leaves the daemon */
	u32 tgid;		/* process */
	u32 start;		/* clock ticks since boot, of the process, modulo 2^32 */
	u16 family;		/* AF_* */
	u16 lport;		/* sock_common.skc_num: 0 once the connection is closed */
	u16 rport;		/* peer's port, network byte order */
	u16 pad;		/* 0 */
	u8 raddr[16];		/* peer's address; the inode number where there is none */
};

/*
 * Counters of one connection: an element of the rows array. Three cache lines, of which an operation
 * takes two: the key and what stands beside it, and the counters.
 */
struct conn {
	struct conn_key key;	/* under which the conns map has it; zero: it is in no use */
	u64 last;		/* jiffies, last operation: to find the one idle longest */
	u32 id;			/* short name in events; never 0 */
	u32 epoch;		/* NETIO_CONFIG_EPOCH when it was last announced */
	u32 peer_pid;		/* unix: process at the other end at connect time; 0: unknown */
	u32 pad;		/* 0 */
	u64 sent_bytes;		/* bytes */
	u64 recv_bytes;		/* bytes */
	u64 send_ops;		/* operations */
	u64 recv_ops;		/* operations */
	struct ident ident;	/* what it is */
	u8 rest[32];		/* 0 */
};

/* Names of a unix socket's two ends: value of the names map, by connection id. */
struct unix_names {
	u16 local_len;		/* bytes of sun_path that count; 0: unnamed */
	u16 remote_len;		/* bytes of sun_path that count; 0: unnamed or not connected */
	u32 pad;		/* 0 */
	u8 local[108];		/* sun_path; a leading NUL: abstract */
	u8 remote[108];		/* sun_path; a leading NUL: abstract */
	u8 peer_comm[16];	/* name of the process at the other end, NUL-padded; none: unknown */
};

/* Meta ring, NETIO_META_CONN: a connection's first operation in this epoch. */
struct meta_conn {
	u32 kind;		/* NETIO_META_CONN */
	u32 id;			/* struct conn's id */
	u32 peer_pid;		/* struct conn's peer_pid */
	u32 pad;		/* 0 */
	struct conn_key key;	/* its key in the conns map */
	struct ident ident;	/* what it is */
};

/* Meta ring, NETIO_META_UNIX: the same for a unix socket, with its names. */
struct meta_unix {
	u32 kind;		/* NETIO_META_UNIX */
	u32 id;			/* struct conn's id */
	u32 peer_pid;		/* struct conn's peer_pid */
	u32 pad;		/* 0 */
	struct conn_key key;	/* its key in the conns map */
	struct ident ident;	/* what it is */
	struct unix_names names;	/* paths of both ends */
};

/* Meta ring, NETIO_META_EXIT: a process that was in the filter is gone. */
struct meta_exit {
	u32 kind;		/* NETIO_META_EXIT */
	u32 tgid;		/* process */
	struct proc proc;	/* its final counters */
};

/* Meta ring, NETIO_META_COMM: a process in the filter has a new name (exec, prctl). */
struct meta_comm {
	u32 kind;		/* NETIO_META_COMM */
	u32 tgid;		/* process */
	u8 comm[16];		/* task_struct.comm of its leader, NUL-terminated */
};
