/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps, and how fields of the kernel are read.
 *
 * The loader puts event.h, kernel.h (with this kernel's offsets), maps.c, processes.c, core.c and
 * hook files together before BCC sees them: BCC rewrites map calls only in the main file.
 */

#define READ(field) \
	({ typeof(field) value_; __builtin_memset(&value_, 0, sizeof(value_)); \
	   bpf_probe_read_kernel(&value_, sizeof(value_), &(field)); value_; })
/* By way of a variable, or the compiler would load byte by byte: the structs are packed. */
#define AS_LOADED(field) ({ typeof(field) *at_ = &(field); *(volatile typeof(field) *)at_; })
#define ADD(counter, n) __sync_fetch_and_add(&(counter), n)

/*
 * Where the verifier knows what a pointer leads to, a field is loaded, which takes a tenth of the
 * time of a read by a helper. The kernel function bpf_rdonly_cast (6.2) tells it, at no cost:
 * netiod/kfuncs.py puts the call in.
 */
#ifdef NETIO_KFUNC_bpf_rdonly_cast
static void *(*bpf_rdonly_cast)(const void *, u32) = (void *)NETIO_KFUNC_bpf_rdonly_cast;
#define KNOWN(type, pointer) ((struct type *)bpf_rdonly_cast(pointer, NETIO_TYPE_##type))
#define LOAD(field) AS_LOADED(field)
#else
#define KNOWN(type, pointer) ((struct type *)(pointer))
#define LOAD(field) READ(field)
#endif

/* Four bits a process: an array look-up costs a sixth of a hash miss, and misses are the rule. */
BPF_ARRAY(filter, u64, NETIO_FILTER_WORDS);
/*
 * Counters of the processes that are counted, each in a cell: that of its PID's low bits, because an
 * array look-up costs a tenth of a hash look-up, or where that is another's, the one in elsewhere.
 */
BPF_F_TABLE("array", u32, struct proc, cells, 2 * NETIO_CELLS, BPF_F_MMAPABLE);
BPF_HASH(elsewhere, u32, u32, 2 * NETIO_MAX_PIDS);
/*
 * The second half of the cells is for processes that selectors choose and that are followed. Whose
 * a cell there is, is said here: who puts that in first, has it. 0: it is to be emptied. A cell
 * that is free has counters of zero. What a process was counted in, several cells if the broker
 * put it in just when it was chosen, adds up.
 */
BPF_HASH(claims, u32, u32, NETIO_CELLS);
BPF_HASH(selectors, struct selector_key, struct selector, NETIO_MAX_SELECTORS);
/* Paths that selectors go by, and by number the id of the cgroup that was last made there. */
BPF_HASH(cgroup_paths, struct cgroup_path, struct path_owners, NETIO_MAX_PATHS);
BPF_HASH(cgroup_ids, u64, u64, NETIO_MAX_PATHS);
/* Processes that no selector chooses: netiod's own, and viewers that selectors choose for. */
BPF_HASH(passed_over, u32, u32, NETIO_MAX_PASSED_OVER);
/* Processes that no selector wants, so that they need not be asked about at each operation. */
struct unwanted {
	u64 word;		/* tgid << 32 | NETIO_CONFIG_SELECT */
	u64 cred;		/* address of the struct cred that it had */
	u64 cgroups;		/* address of its struct css_set */
};
BPF_ARRAY(unwanted, struct unwanted, NETIO_UNWANTED);
BPF_HASH(exited, struct proc_key, struct proc, NETIO_MAX_PIDS);
/* Of those who live and of those who have exited. */
BPF_HASH(holds, struct proc_key, struct hold, 2 * NETIO_MAX_PIDS);
/*
 * Connections: conns says which row has the counters of one. Most operations do not ask it, for the
 * same reason: near has the row that was last used under a hash of the key. Rows that were in use
 * come back by free_rows; those that never were are counted off by next_row. Nobody maps the rows,
 * but what can be mapped begins at a page, and each row so at a cache line.
 */
BPF_F_TABLE("array", u32, struct conn, rows, NETIO_MAX_CONNECTIONS, BPF_F_MMAPABLE);
BPF_HASH(conns, struct conn_key, u32, NETIO_MAX_CONNECTIONS);
BPF_ARRAY(near, u32, 1 << NETIO_NEAR_BITS);
BPF_STACK(free_rows, u32, NETIO_MAX_CONNECTIONS);
#ifdef NETIO_HAS_atomic_fetch
BPF_ARRAY(next_row, u64, 1);
#endif
BPF_HASH(names, u32, struct unix_names, NETIO_MAX_NAMES);
BPF_ARRAY(nameless, struct unix_names, 1);
#ifdef NETIO_HAS_atomic_fetch
BPF_ARRAY(next_id, u64, 1);
#else
BPF_PERCPU_ARRAY(next_id, u64, 1);
#endif
BPF_ARRAY(config, u64, NETIO_CONFIG_COUNT);
BPF_ARRAY(stats, u64, NETIO_STAT_COUNT);
BPF_RINGBUF_OUTPUT(events, NETIO_RING_PAGES);
BPF_RINGBUF_OUTPUT(meta, NETIO_META_PAGES);
