/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How programs on functions are declared and find their arguments, by BPF trampolines on entry
 * and return (BTF, 5.5): the cheapest way where the tracepoints are missing. A trampoline skips a
 * program while another thread is preempted inside it on that CPU, so under preemption operations
 * can be missed; the kernel counts them (recursion_misses), and netio shows that count as loss.
 */

/* Arguments come as 64-bit words; a return value stands behind the last of them. */
#define WANTED u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32); \
	if (!wanted) return 0
/* BCC finds a function by its program's name: since 0.28, which has the macro, by module, too. */
#ifdef MODULE_KFUNC_PROBE
#define ENTRY(name) int kfunc__vmlinux__##name(unsigned long long *ctx)
#define RETURN(name) int kretfunc__vmlinux__##name(unsigned long long *ctx)
#else
#define ENTRY(name) int kfunc__##name(unsigned long long *ctx)
#define RETURN(name) int kretfunc__##name(unsigned long long *ctx)
#endif
#define ARG(i) ctx[i]
#define RESULT(nargs) ctx[nargs]
