/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* How programs on system calls are declared, by raw tracepoints: of them, registers are given. */

#define ON_ENTER RAW_TRACEPOINT_PROBE(sys_enter)
#define ENTERED ctx->args[1]
#define CALL_ARG(i) READ(((struct pt_regs *)ctx->args[0])->NETIO_ARG##i)
#define ON_EXIT RAW_TRACEPOINT_PROBE(sys_exit)
#define EXITED READ(((struct pt_regs *)ctx->args[0])->NETIO_SYSCALL_NR)
#define CALL_RESULT ((long)ctx->args[1])
