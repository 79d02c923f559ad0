/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * splice.h and zerocopy.h by the tracepoints of just these system calls, for kernels without
 * kprobes. Every system call of the host takes its slower way meanwhile, but no program is run for
 * others than these; so they are attached only while something is held. io_uring's splice is not
 * seen: it makes no system call of its own.
 */

TRACEPOINT_PROBE(syscalls, sys_enter_splice)
{
	if (!filter_of(bpf_get_current_pid_tgid() >> 32))
		return 0;
	return splice_begins(fd_sk(args->fd_in));
}

TRACEPOINT_PROBE(syscalls, sys_exit_splice)
{
	u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32);

	return wanted ? splice_ends(wanted, args->ret) : 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_getsockopt)
{
	if (!is_zerocopy(args->level, args->optname) ||
	    !filter_of(bpf_get_current_pid_tgid() >> 32))
		return 0;
	return zerocopy_begins(fd_sk(args->fd), (u64)args->optval, (u64)args->optlen);
}

TRACEPOINT_PROBE(syscalls, sys_exit_getsockopt)
{
	u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32);

	return wanted ? zerocopy_ends(wanted, args->ret) : 0;
}
