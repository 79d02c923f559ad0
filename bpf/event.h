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
/* Its children are counted, too, from their first byte, and theirs. */
#define NETIO_FILTER_FOLLOW 4
/* Operations that fail are events, too. */
#define NETIO_FILTER_ERRORS 8

/* What a selector goes by. */
#define NETIO_SELECT_NAME 0
#define NETIO_SELECT_USER 1
#define NETIO_SELECT_ALL 2
#define NETIO_SELECT_CGROUP 3
/* Of no process: who goes by a path, and what each cgroup of that path gets. */
#define NETIO_SELECT_PATH 4
/* Owner of a selector that may choose anybody's processes. */
#define NETIO_ANYONE 4294967295
/* Levels of cgroups that selectors can name: 1 is just below the root. */
#define NETIO_CGROUP_LEVELS 12
/* Users that can go by one path at once, owner1 and so on of struct path_owners. */
#define NETIO_PATH_OWNERS 8

/* Kinds of records in the meta ring. */
#define NETIO_META_CONN 1
#define NETIO_META_UNIX 2
#define NETIO_META_EXIT 3
#define NETIO_META_COMM 4
#define NETIO_META_CHOSEN 5
#define NETIO_META_CGROUP 6

/* Indices of the stats array. */
#define NETIO_STAT_EVENTS_LOST 0
#define NETIO_STAT_META_LOST 1
#define NETIO_STAT_CONNS_FULL 2
/* Operations of processes that a selector wants and that found no cell: not counted. */
#define NETIO_STAT_CHOSEN_FULL 3
#define NETIO_STAT_COUNT 4

/* Indices of the config array. */
#define NETIO_CONFIG_EPOCH 0
#define NETIO_CONFIG_NETLINK 1
/* Bytes from the end of a thread's kernel stack to its user registers; found by the kernel side. */
#define NETIO_CONFIG_REGS 2
/* Which selectors there are: another number after each change; 0: none, and nobody is followed. */
#define NETIO_CONFIG_SELECT 3
#define NETIO_CONFIG_COUNT 4

/*
 * One operation on a socket: a record of the events ring. One that failed moved nothing and counts
 * nowhere; those are told where NETIO_FILTER_ERRORS asks for them.
 */
struct event {
	u64 time;		/* ns, CLOCK_MONOTONIC, when the operation ended */
	u32 tgid;		/* process, as the daemon's PID namespace numbers it */
	u32 tid;		/* thread that moved the bytes */
	u32 conn;		/* struct conn's id; 0: the connection has no row */
	u32 bytes;		/* bytes moved */
	u32 lost;		/* events of this process lost before this one, modulo 2^32 */
	u8 dir;			/* NETIO_DIR_* */
	u8 call;		/* NETIO_CALL_* */
	u16 error;		/* errno of an operation that failed; 0: it did not */
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
	u32 flags;		/* NETIO_FILTER_* until the filter has it: of one that was chosen */
	u32 checked;		/* NETIO_CONFIG_SELECT when selectors were last asked about it */
	u64 tgid;		/* process; 0: the cell is free */
};

/* Key of the map selectors. */
struct selector_key {
	u8 value[16];		/* name, NUL-padded; or a number, u64: uid, id of a cgroup, of a path */
	u32 kind;		/* NETIO_SELECT_* */
	u32 owner;		/* uid whose processes alone are meant, or NETIO_ANYONE */
};

/* Value of the map selectors: processes of these are chosen at their first operation. */
struct selector {
	u32 flags;		/* NETIO_FILTER_*; 0: it rests */
	u32 added;		/* 1: it stays without viewers */
	u32 uid;		/* who added it */
	u32 level;		/* of a cgroup; else 0 */
	u64 path;		/* number of the path that a cgroup is chosen by; 0: by its id alone */
};

/* Key of the map cgroup_paths. */
struct cgroup_path {
	u8 path[256];		/* from the root of cgroup2, "/system.slice/nginx.service", NUL-padded */
};

/* Value of the map cgroup_paths: whose selectors go by that path. */
struct path_owners {
	u64 number;		/* short name of the path: of one path alone as long as the kernel runs */
	u32 owner1;		/* struct selector_key's; 0: nobody, as in all these */
	u32 owner2;		/* likewise */
	u32 owner3;		/* likewise */
	u32 owner4;		/* likewise */
	u32 owner5;		/* likewise */
	u32 owner6;		/* likewise */
	u32 owner7;		/* likewise */
	u32 owner8;		/* likewise */
};

/* Who added a process: value of the map holds, by proc_key. Written and read by user space only. */
struct hold {
	u32 uid;		/* who added it */
	u32 follow;		/* 1: its children, too */
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

/*
 * Meta ring, NETIO_META_CHOSEN: a selector wants this process, or it is the child of one that is
 * followed. It is counted from now on; of one that was counted before, another selector wants it.
 */
struct meta_chosen {
	u32 kind;		/* NETIO_META_CHOSEN */
	u32 tgid;		/* process */
	u64 start;		/* clock ticks since boot */
	u64 since;		/* ns, CLOCK_MONOTONIC, when it was chosen: struct proc's */
	u64 sent_bytes;		/* bytes that had been counted of it by then */
	u64 recv_bytes;		/* likewise */
	u64 send_ops;		/* operations that had been counted of it by then */
	u64 recv_ops;		/* likewise */
	u32 parent;		/* process whose child it is, where it is followed; 0: chosen by a selector */
	u32 uid;		/* real */
	u32 euid;		/* effective */
	u32 suid;		/* saved */
	u32 fsuid;		/* of the file system */
	u32 pad;		/* 0 */
	u8 comm[16];		/* task_struct.comm of its leader, NUL-padded */
	u64 cgroup1;		/* id of its cgroup at that level; 0: it is not so deep */
	u64 cgroup2;		/* likewise */
	u64 cgroup3;		/* likewise */
	u64 cgroup4;		/* likewise */
	u64 cgroup5;		/* likewise */
	u64 cgroup6;		/* likewise */
	u64 cgroup7;		/* likewise */
	u64 cgroup8;		/* likewise */
	u64 cgroup9;		/* likewise */
	u64 cgroup10;		/* likewise */
	u64 cgroup11;		/* likewise */
	u64 cgroup12;		/* likewise */
};

/* Meta ring, NETIO_META_CGROUP: a cgroup was made whose path selectors go by. */
struct meta_cgroup {
	u32 kind;		/* NETIO_META_CGROUP */
	u32 pad;		/* 0 */
	u64 path;		/* struct path_owners' number */
	u64 id;			/* of the cgroup */
};
