/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Selectors by cgroup outlive the cgroup: one that is made anew under the same path, as by a restart
 * of a unit, is chosen before any process can be in it.
 */

/*
 * One user's selector by a path: `id` is the cgroup there now. `before` was until now; it could not
 * have been removed with a process in it, so none is missed.
 */
static __always_inline void goes_on(u32 owner, u64 path, u64 before, u64 id)
{
	struct selector_key by_path = {}, by_id = {};
	struct selector *found, now;

	if (!owner)
		return;
	by_id.kind = NETIO_SELECT_CGROUP;
	by_id.owner = owner;
	if (before) {
		*(u64 *)by_id.value = before;
		selectors.delete(&by_id);
	}
	by_path.kind = NETIO_SELECT_PATH;
	by_path.owner = owner;
	*(u64 *)by_path.value = path;
	found = selectors.lookup(&by_path);
	if (!found)
		return;
	now = *found;
	*(u64 *)by_id.value = id;
	selectors.update(&by_id, &now);
	/* The broker may have taken it away meanwhile, and not have seen what we put in. */
	if (!selectors.lookup(&by_path))
		selectors.delete(&by_id);
}

/* A cgroup is made (args: cgroup, path), and cannot be found yet. */
RAW_TRACEPOINT_PROBE(cgroup_mkdir)
{
	struct cgroup *cgroup = (void *)ctx->args[0];
	struct cgroup_root *root = READ(cgroup->root);
	struct kernfs_node *kn = READ(cgroup->kn);
	struct cgroup_path path = {};
	struct path_owners *owners;
	struct meta_cgroup *m;
	u64 number, id, before, *last;
	long size;

	if (READ(root->hierarchy_id))
		return 0;
	size = bpf_probe_read_kernel_str(path.path, sizeof(path.path), (void *)ctx->args[1]);
	if (size <= 0 || size == sizeof(path.path))
		return 0;	/* a longer one would be cut off */
	owners = cgroup_paths.lookup(&path);
	if (!owners)
		return 0;
	number = owners->number;
	last = cgroup_ids.lookup(&number);
	if (!last)
		return 0;
	id = READ(kn->id);
	before = *last;
	*last = id;
	for (u32 i = 0; i < NETIO_PATH_OWNERS; i++) {
		asm volatile("" : "+r"(i));
		if (i < NETIO_PATH_OWNERS)
			goes_on((&owners->owner1)[i], number, before, id);
	}
	m = meta.ringbuf_reserve(sizeof(struct meta_cgroup));
	if (!m) {
		count(NETIO_STAT_META_LOST);
		return 0;
	}
	m->kind = NETIO_META_CGROUP;
	m->pad = 0;
	m->path = number;
	m->id = id;
	meta.ringbuf_submit(m, 0);
	return 0;
}
