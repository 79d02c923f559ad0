/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How programs on functions are declared and find their arguments, by kprobes and kretprobes.
 * Exact on every kernel that has them, and slower than tracepoints: a breakpoint or a jump on
 * entry, a trampoline on return.
 */

#define WANTED u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32); \
	if (!wanted) return 0
#define ENTRY(name) int kprobe_##name(struct pt_regs *ctx)
#define ARG(i) NETIO_FN##i(ctx)
#define RETURN(name) int kretprobe_##name(struct pt_regs *ctx)
#define RESULT(nargs) NETIO_RET(ctx)
