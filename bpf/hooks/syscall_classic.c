/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How programs on system calls are declared, by tracepoints as tracefs describes them: dearer than
 * raw ones, and never preempted.
 */

#define ON_ENTER TRACEPOINT_PROBE(raw_syscalls, sys_enter)
#define ENTERED args->id
#define CALL_ARG(i) args->args[i]
#define ON_EXIT TRACEPOINT_PROBE(raw_syscalls, sys_exit)
#define EXITED args->id
#define CALL_RESULT args->ret
