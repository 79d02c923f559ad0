/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which processes are counted: the filter, their cells, and how more of them are chosen by
 * selectors and as children of those that are followed.
 */

#define USER_TICK 10000000	/* ns; USER_HZ is 100 everywhere */
#define CELL_PROBES 4
/* Not in the filter: selectors have to be asked. */
#define NETIO_FILTER_ASK 16

static __always_inline void count(u32 stat)
{
	u64 *value = stats.lookup(&stat);

	if (value)
		ADD(*value, 1);
}

static __always_inline u64 configured(u32 index)
{
	u64 *value = config.lookup(&index);

	return value ? *value : 0;
}

static __always_inline u64 in_filter(u32 tgid)
{
	u32 index = tgid >> 4;
	u64 *word = filter.lookup(&index);

	return word ? *word >> ((tgid & 15) * 4) & 15 : 0;
}

/* The thread at work: typed where the verifier knows what a task is, so that it can be loaded from. */
static __always_inline struct task_struct *this_task(void)
{
#ifdef NETIO_HAS_bpf_task_pt_regs
	return bpf_get_current_task_btf();
#else
	return (void *)bpf_get_current_task();
#endif
}

static __always_inline struct task_struct *this_leader(void)
{
	return LOAD(this_task()->group_leader);
}

/* Whether selectors have said already, of this very process, that they do not want it. */
static __always_inline int is_unwanted(u32 tgid, u64 select, struct task_struct *leader)
{
	u32 index = tgid & (NETIO_UNWANTED - 1);
	struct unwanted *last = unwanted.lookup(&index);

	return last && last->word == ((u64)tgid << 32 | select) &&
	       last->cred == (u64)LOAD(leader->real_cred) &&
	       last->cgroups == (u64)LOAD(leader->cgroups);
}

static __always_inline void set_unwanted(u32 tgid, u64 select, struct task_struct *leader)
{
	u32 index = tgid & (NETIO_UNWANTED - 1);
	struct unwanted *last = unwanted.lookup(&index);

	if (!last)
		return;
	last->cred = (u64)LOAD(leader->real_cred);
	last->cgroups = (u64)LOAD(leader->cgroups);
	last->word = (u64)tgid << 32 | select;
}

/*
 * What is to be done for a process, NETIO_FILTER_*; 0: nothing. With NETIO_FILTER_ASK only
 * choose() can tell, and until then all is to be found out that might be needed.
 */
static __always_inline u64 filter_of(u32 tgid)
{
	u64 flags = in_filter(tgid), select;

	if (flags)
		return flags;
	select = configured(NETIO_CONFIG_SELECT);
	if (!select || is_unwanted(tgid, select, this_leader()))
		return 0;
	return NETIO_FILTER_ASK | NETIO_FILTER_STREAM | NETIO_FILTER_ERRORS;
}

/* The cell at `index` if it is this process's. */
static __always_inline struct proc *cell_of(u32 index, u32 tgid)
{
	struct proc *cell = cells.lookup(&index);

	return cell && cell->tgid == tgid ? cell : NULL;
}

static __always_inline u32 home_of(u32 tgid)
{
	return tgid & (NETIO_CELLS - 1);
}

static __always_inline struct proc *proc_of(u32 tgid)
{
	struct proc *cell = cell_of(home_of(tgid), tgid);
	u32 *other;

	if (cell)
		return cell;
	cell = cell_of(NETIO_CELLS + home_of(tgid), tgid);
	if (cell)
		return cell;
	other = elsewhere.lookup(&tgid);
	return other ? cell_of(*other, tgid) : NULL;
}

/*
 * `owner`: whose all its uids are, or NETIO_ANYONE. Read by a helper, which takes NULL for nothing:
 * a branch for each of so many look-ups would be more ways than the verifier goes.
 */
static __always_inline u64 wanted_by(struct selector_key *key, u32 owner, u64 *found)
{
	u64 flags;

	*found = 0;
	key->owner = NETIO_ANYONE;
	bpf_probe_read_kernel(found, sizeof(u32), selectors.lookup(key));
	flags = *found;
	key->owner = owner;
	bpf_probe_read_kernel(found, sizeof(u32), selectors.lookup(key));
	return flags | *found;
}
_Static_assert(__builtin_offsetof(struct selector, flags) == 0, "wanted_by()");

static __always_inline u32 owner_of(struct cred *cred)
{
	u32 uid = READ(cred->uid);

	/* Without a branch for each, or the verifier would go every way. */
	return (uid ^ READ(cred->euid)) | (uid ^ READ(cred->suid)) | (uid ^ READ(cred->fsuid))
	       ? NETIO_ANYONE : uid;
}

/*
 * The id of the cgroup of cgroup2 that the current process is in, or below, at `level`; 0: it is
 * not that deep. Before 5.15 no helper tells it to programs like these, and by 6.1 it is nowhere
 * to be read.
 */
#ifdef NETIO_LACKS_cgroup_ancestor_ids
#define CGROUP_OF(task) NULL
#define ANCESTOR(cgroup, level) bpf_get_current_ancestor_cgroup_id(level)
#else
#define CGROUP_OF(task) READ(READ((task)->cgroups)->dfl_cgrp)
#define ANCESTOR(cgroup, at) \
	((at) <= READ((cgroup)->level) ? READ((cgroup)->ancestor_ids[at]) : 0)
#endif

/* What selectors want of the current process, NETIO_FILTER_*. */
static __always_inline u64 selected(struct task_struct *leader, u32 tgid)
{
	struct cgroup *cgroup = CGROUP_OF(leader);
	struct cred *cred = READ(leader->real_cred);
	struct selector_key key = {};
	u32 owner = owner_of(cred);
	u64 flags, found;

	if (passed_over.lookup(&tgid))
		return 0;
	key.kind = NETIO_SELECT_ALL;
	flags = wanted_by(&key, owner, &found);
	key.kind = NETIO_SELECT_NAME;
	bpf_probe_read_kernel_str(key.value, sizeof(key.value), leader->comm);
	flags |= wanted_by(&key, owner, &found);
	__builtin_memset(key.value, 0, sizeof(key.value));
	key.kind = NETIO_SELECT_USER;
	*(u64 *)key.value = READ(cred->euid);
	flags |= wanted_by(&key, owner, &found);
	key.kind = NETIO_SELECT_CGROUP;
	for (u32 level = 1; level <= NETIO_CGROUP_LEVELS; level++) {
		asm volatile("" : "+r"(level));
		*(u64 *)key.value = ANCESTOR(cgroup, level);
		flags |= wanted_by(&key, owner, &found);
	}
	return flags;
}
_Static_assert(NETIO_CGROUP_LEVELS == 12, "tell_chosen(), struct meta_chosen");

/* Tell the broker of a process that was chosen, or that was counted and is wanted once more. */
static __always_inline void tell_chosen(struct task_struct *leader, struct proc *proc, u32 tgid,
					u32 parent)
{
	struct meta_chosen *m = meta.ringbuf_reserve(sizeof(struct meta_chosen));
	struct cgroup *cgroup = CGROUP_OF(leader);
	struct cred *cred = READ(leader->real_cred);

	if (!m) {
		count(NETIO_STAT_META_LOST);
		return;
	}
	__builtin_memset(m, 0, sizeof(*m));
	m->kind = NETIO_META_CHOSEN;
	m->tgid = tgid;
	m->start = proc->start;
	m->since = proc->since;
	m->sent_bytes = proc->sent_bytes;
	m->recv_bytes = proc->recv_bytes;
	m->send_ops = proc->send_ops;
	m->recv_ops = proc->recv_ops;
	m->parent = parent;
	m->uid = READ(cred->uid);
	m->euid = READ(cred->euid);
	m->suid = READ(cred->suid);
	m->fsuid = READ(cred->fsuid);
	bpf_probe_read_kernel_str(m->comm, sizeof(m->comm), leader->comm);
#define LEVEL(n) m->cgroup##n = ANCESTOR(cgroup, n)
	LEVEL(1);
	LEVEL(2);
	LEVEL(3);
	LEVEL(4);
	LEVEL(5);
	LEVEL(6);
	LEVEL(7);
	LEVEL(8);
	LEVEL(9);
	LEVEL(10);
	LEVEL(11);
	LEVEL(12);
	meta.ringbuf_submit(m, 0);
}

/*
 * Count a process from now on. Its cell, which another thread of it may just have made; `fresh`:
 * we have. NULL: none is free.
 */
static __always_inline struct proc *begin(struct task_struct *leader, u32 tgid, u64 select,
					  u64 flags, int *fresh)
{
	u32 home = home_of(tgid), at, *owner;
	struct proc *cell;

	for (u32 i = 0; i < CELL_PROBES; i++) {
		asm volatile("" : "+r"(i));
		at = NETIO_CELLS + ((home + i * 61) & (NETIO_CELLS - 1));
		if (!claims.insert(&at, &tgid)) {
			cell = cells.lookup(&at);
			if (!cell)
				return NULL;
			cell->since = bpf_ktime_get_ns();
			cell->start = READ(leader->start_boottime) / USER_TICK;
			cell->flags = flags;
			cell->checked = select;
			/* From here on it is found: after all else, on every CPU. */
			__sync_fetch_and_add(&cell->tgid, (u64)tgid);
			if (i)
				elsewhere.update(&tgid, &at);
			*fresh = 1;
			return cell;
		}
		owner = claims.lookup(&at);
		if (owner && *owner == tgid)
			return cells.lookup(&at);
	}
	count(NETIO_STAT_CHOSEN_FULL);
	return NULL;
}

/*
 * The cell of the current process, NULL if it is not to be counted; `wanted`: what filter_of() said.
 *
 * Selectors are asked once about each process, and again after each change of theirs or of its
 * name. One that was chosen, and that the broker is about to put into the filter, goes by the
 * flags in its cell.
 */
static __always_inline struct proc *choose(u32 tgid, u64 *wanted)
{
	u64 select = configured(NETIO_CONFIG_SELECT), flags;
	struct proc *proc = proc_of(tgid);
	struct task_struct *leader;
	int news = 0;

	if (*wanted & NETIO_FILTER_ASK)
		*wanted = proc ? proc->flags : 0;
	else if (!proc)
		return NULL;
	if (*wanted && proc->checked == select)
		return proc;
	leader = this_leader();
	flags = select ? selected(leader, tgid) : 0;
	if (*wanted) {
		proc->checked = select;
		news = !!flags;
		if (proc->flags)
			proc->flags |= flags;
	} else if (flags) {
		proc = begin(leader, tgid, select, flags, &news);
	} else {
		set_unwanted(tgid, select, leader);
		return NULL;
	}
	*wanted |= flags;
	if (proc && news)
		tell_chosen(leader, proc, tgid, 0);
	return proc;
}

/*
 * When it is chosen. Choosing takes more of the verifier than programs that account have left where
 * they are many or large: there (NETIO_CHOOSES_FIRST, by the loader) it is done by those that note
 * the beginning of an operation, elsewhere by those that count it, whose process is known then to
 * have moved bytes, or to have failed to.
 *
 * begins(): whether an operation of the current process is to be noted.
 * counted(): the cell to count it in, NULL if it is not to be counted.
 */
#ifdef NETIO_CHOOSES_FIRST
static __always_inline int begins(u32 tgid, u64 wanted)
{
	return !!choose(tgid, &wanted);
}

static __always_inline struct proc *counted(u32 tgid, u64 *wanted)
{
	struct proc *proc = proc_of(tgid);

	/* Found out anew, lest the verifier goes all ways up to here once for each answer. */
	*wanted = in_filter(tgid);
	if (proc && !*wanted)
		*wanted = proc->flags;
	return *wanted ? proc : NULL;
}
#else
static __always_inline int begins(u32 tgid, u64 wanted)
{
	return 1;
}

static __always_inline struct proc *counted(u32 tgid, u64 *wanted)
{
	return choose(tgid, wanted);
}
#endif

static __always_inline void add_cell(struct proc *last, u32 index, u32 tgid)
{
	struct proc *cell = cell_of(index, tgid);

	if (!cell)
		return;
	last->sent_bytes += cell->sent_bytes;
	last->recv_bytes += cell->recv_bytes;
	last->send_ops += cell->send_ops;
	last->recv_ops += cell->recv_ops;
	last->lost += cell->lost;
	last->start = cell->start;
	if (!last->since || cell->since < last->since)
		last->since = cell->since;
}

/*
 * A process is counted no longer. A cell of the first half may have been given to another
 * meanwhile, by the broker, who saw it end first.
 */
static __always_inline void cell_ends(u32 index, u32 tgid)
{
	struct proc *cell = cell_of(index, tgid);

	if (!cell)
		return;
	if (index >= NETIO_CELLS) {
		/* In this order, for whoever reads it meanwhile: what is its own is whole. */
		__sync_fetch_and_add(&cell->tgid, -(u64)tgid);
		__builtin_memset(cell, 0, __builtin_offsetof(struct proc, tgid));
		claims.delete(&index);
		return;
	}
#ifdef NETIO_HAS_atomic_fetch
	__sync_val_compare_and_swap(&cell->tgid, (u64)tgid, 0ULL);
#else
	if (cell->tgid == tgid)
		cell->tgid = 0;		/* where this is built, programs are not preempted */
#endif
}

/*
 * The last thread of a process is gone (args: task). signal->live says so on every kernel; the
 * tracepoint's own group_dead argument is new. No socket call can follow: a thread gets here
 * after its last return to user mode. The process leaves the cells, so that one that is given
 * the same PID is not counted.
 */
RAW_TRACEPOINT_PROBE(sched_process_exit)
{
	struct task_struct *task = (void *)ctx->args[0];
	u32 tgid = READ(task->tgid), home = home_of(tgid), *other;
	struct signal_struct *signal;
	struct proc_key key = {};
	struct proc last = {};
	struct meta_exit *m;

	if (!proc_of(tgid))
		return 0;
	signal = READ(task->signal);
	if (READ(signal->live))
		return 0;
	add_cell(&last, home, tgid);
	add_cell(&last, NETIO_CELLS + home, tgid);
	other = elsewhere.lookup(&tgid);
	if (other)
		add_cell(&last, *other, tgid);
	last.until = bpf_ktime_get_ns();
	last.tgid = tgid;
	key.start = last.start;
	key.tgid = tgid;
	/* First, lest the broker finds the process nowhere. */
	exited.update(&key, &last);
	cell_ends(home, tgid);
	cell_ends(NETIO_CELLS + home, tgid);
	if (other) {
		cell_ends(*other, tgid);
		elsewhere.delete(&tgid);
	}
	m = meta.ringbuf_reserve(sizeof(struct meta_exit));
	if (!m) {
		count(NETIO_STAT_META_LOST);
		return 0;
	}
	m->kind = NETIO_META_EXIT;
	m->tgid = tgid;
	m->proc = last;
	meta.ringbuf_submit(m, 0);
	return 0;
}

/* A process is made (args: parent, child), and does not run yet. */
RAW_TRACEPOINT_PROBE(sched_process_fork)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	u64 select = configured(NETIO_CONFIG_SELECT), flags;
	u32 tgid, parent_tgid;
	struct proc *proc;
	int fresh = 0;

	if (!select)
		return 0;
	tgid = READ(child->tgid);
	if (READ(child->pid) != tgid)
		return 0;	/* a thread */
	parent_tgid = READ(parent->tgid);
	flags = in_filter(parent_tgid);
	if (!flags) {
		proc = proc_of(parent_tgid);
		flags = proc ? proc->flags : 0;
	}
	if (!(flags & NETIO_FILTER_FOLLOW))
		return 0;
	proc = begin(child, tgid, 0, flags, &fresh);
	if (proc && fresh)
		tell_chosen(child, proc, tgid, parent_tgid);
	return 0;
}

/*
 * A process takes another name: execve(2) and prctl(PR_SET_NAME) (args: task, comm). Selectors
 * are asked again.
 */
RAW_TRACEPOINT_PROBE(task_rename)
{
	struct task_struct *task = (void *)ctx->args[0];
	u32 tgid = READ(task->tgid), index = tgid & (NETIO_UNWANTED - 1);
	struct unwanted *last;
	struct meta_comm *m;
	struct proc *proc;

	if (READ(task->group_leader) != task)
		return 0;
	last = unwanted.lookup(&index);
	if (last && last->word >> 32 == tgid)
		last->word = 0;
	proc = proc_of(tgid);
	if (!proc)
		return 0;
	proc->checked = 0;
	m = meta.ringbuf_reserve(sizeof(struct meta_comm));
	if (!m) {
		count(NETIO_STAT_META_LOST);
		return 0;
	}
	m->kind = NETIO_META_COMM;
	m->tgid = tgid;
	__builtin_memset(m->comm, 0, sizeof(m->comm));
	bpf_probe_read_kernel_str(m->comm, sizeof(m->comm), (void *)ctx->args[1]);
	meta.ringbuf_submit(m, 0);
	return 0;
}
