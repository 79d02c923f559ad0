/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * splice.h and zerocopy.h by the tracepoints of system calls, for kernels without kprobes. Every
 * system call of the host pays for it, so these are attached only while something is held.
 * io_uring's splice is not seen: it makes no system call of its own.
 */

ON_ENTER
{
	u64 nr = ENTERED;

	if ((nr != NR_splice && nr != NR_getsockopt) ||
	    !filter_of(bpf_get_current_pid_tgid() >> 32))
		return 0;
	if (nr == NR_splice)
		return splice_begins(fd_sk(CALL_ARG(0)));
	if (is_zerocopy(CALL_ARG(1), CALL_ARG(2)))
		zerocopy_begins(fd_sk(CALL_ARG(0)), CALL_ARG(3), CALL_ARG(4));
	return 0;
}

ON_EXIT
{
	u64 wanted = filter_of(bpf_get_current_pid_tgid() >> 32);

	if (!wanted)
		return 0;
	switch (EXITED) {
	case NR_splice:
		return splice_ends(wanted, CALL_RESULT);
	case NR_getsockopt:
		return zerocopy_ends(wanted, CALL_RESULT);
	}
	return 0;
}
