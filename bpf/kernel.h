/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel structs that are read: just the fields we name, in the kernel's own names.
 *
 * This file is not compiled as it stands. netiod/btf.py writes the same structs with each field at
 * the offset that the running kernel's BTF gives it, so `sk->__sk_common.skc_family` is right on
 * every kernel. One field a line; "optional" in its comment: a kernel may lack it, and then
 * NETIO_LACKS_<struct>_<field> is defined.
 */

struct upid {
	int nr;			/* include/linux/pid.h */
};

struct pid {
	struct upid numbers[1];	/* include/linux/pid.h; [0] is the initial namespace's */
	void *tasks[2];		/* include/linux/pid.h; hlist_head by enum pid_type; [1]: of a process */
};

struct inode {
	u16 i_mode;		/* include/linux/fs.h */
	unsigned long i_ino;	/* include/linux/fs.h */
};

struct file {
	struct inode *f_inode;	/* include/linux/fs.h */
	void *private_data;	/* include/linux/fs.h; a socket's is its struct socket */
};

struct fdtable {
	u32 max_fds;		/* include/linux/fdtable.h */
	struct file **fd;	/* include/linux/fdtable.h */
};

struct files_struct {
	struct fdtable *fdt;	/* include/linux/fdtable.h */
};

struct sk_buff {
	u16 protocol;		/* include/linux/skbuff.h; network byte order */
	u16 transport_header;	/* include/linux/skbuff.h; from head */
	u16 network_header;	/* include/linux/skbuff.h; from head */
	void *head;		/* include/linux/skbuff.h */
};

struct iov_iter {
	u64 count;		/* include/linux/uio.h; bytes that there is room for */
};

struct msghdr {
	void *msg_name;		/* include/linux/socket.h; sockaddr in kernel memory */
	struct iov_iter msg_iter;	/* include/linux/socket.h */
};

struct kiocb {
	struct file *ki_filp;	/* include/linux/fs.h */
};

struct signal_struct {
	int live;		/* include/linux/sched/signal.h; atomic_t, threads not yet in do_exit */
};

struct cred {
	u32 uid;		/* include/linux/cred.h; kuid_t, as all these */
	u32 euid;		/* include/linux/cred.h */
	u32 suid;		/* include/linux/cred.h */
	u32 fsuid;		/* include/linux/cred.h */
};

struct cgroup_root {
	int hierarchy_id;	/* include/linux/cgroup-defs.h; 0: cgroup2 */
};

struct kernfs_node {
	u64 id;			/* include/linux/kernfs.h; a cgroup's own id */
};

struct cgroup {
	u32 level;		/* include/linux/cgroup-defs.h; 0: the root */
	u64 ancestor_ids[13];	/* include/linux/cgroup-defs.h; optional: before 6.1; by level */
	struct kernfs_node *kn;	/* include/linux/cgroup-defs.h */
	struct cgroup_root *root;	/* include/linux/cgroup-defs.h */
};

struct css_set {
	struct cgroup *dfl_cgrp;	/* include/linux/cgroup-defs.h; the one of cgroup2 */
};

struct task_struct {
	void *stack;		/* include/linux/sched.h */
	int pid;		/* include/linux/sched.h; of the thread */
	int tgid;		/* include/linux/sched.h */
	u64 start_boottime;	/* include/linux/sched.h; ns */
	struct cred *real_cred;	/* include/linux/sched.h */
	struct css_set *cgroups;	/* include/linux/sched.h; another one in another cgroup */
	struct task_struct *group_leader;	/* include/linux/sched.h */
	struct files_struct *files;	/* include/linux/sched.h */
	struct signal_struct *signal;	/* include/linux/sched.h */
	void *pid_links[4];	/* include/linux/sched.h; two pointers (hlist_node) by enum pid_type */
	u8 comm[16];		/* include/linux/sched.h */
};

struct sock_common {
	u32 skc_daddr;		/* include/net/sock.h; network byte order */
	u32 skc_rcv_saddr;	/* include/net/sock.h; network byte order */
	u16 skc_dport;		/* include/net/sock.h; network byte order */
	u16 skc_num;		/* include/net/sock.h; own port, host byte order */
	u16 skc_family;		/* include/net/sock.h */
	u8 skc_state;		/* include/net/sock.h; TCP_ESTABLISHED: connected, of any type */
	u8 skc_v6_daddr[16];	/* include/net/sock.h; optional: CONFIG_IPV6 */
	u8 skc_v6_rcv_saddr[16];	/* include/net/sock.h; optional: CONFIG_IPV6 */
};

struct sock {
	struct sock_common __sk_common;	/* include/net/sock.h */
	struct socket *sk_socket;	/* include/net/sock.h */
	u16 sk_type;		/* include/net/sock.h; a bit-field before 5.6 */
	u16 sk_protocol;	/* include/net/sock.h; a bit-field before 5.6 */
	struct pid *sk_peer_pid;	/* include/net/sock.h; who connected, for unix sockets */
};

struct inet_sock {
	u16 inet_sport;		/* include/net/inet_sock.h; network byte order; outlives the bind */
};

struct socket {
	struct file *file;	/* include/linux/net.h */
	struct sock *sk;	/* include/linux/net.h */
};

struct socket_alloc {
	struct socket socket;	/* include/net/sock.h */
	struct inode vfs_inode;	/* include/net/sock.h */
};

struct unix_address {
	int len;		/* include/net/af_unix.h; bytes of the sockaddr_un that count */
	u8 name[110];		/* include/net/af_unix.h; struct sockaddr_un */
};

struct unix_sock {
	struct unix_address *addr;	/* include/net/af_unix.h */
	struct sock *peer;	/* include/net/af_unix.h */
};
