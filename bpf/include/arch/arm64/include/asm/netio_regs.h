/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once
/* arch/arm64/include/asm/ptrace.h: struct user_pt_regs, then what the kernel adds. */
struct pt_regs {
	unsigned long regs[31], sp, pc, pstate;
	unsigned long orig_x0;
	int syscallno;
	unsigned int pad;
};
#define NETIO_SYSCALL_NR syscallno
/* regs[0] holds the result once the call returns; the first argument is kept beside. */
#define NETIO_ARG0 orig_x0
#define NETIO_ARG1 regs[1]
#define NETIO_ARG2 regs[2]
#define NETIO_ARG3 regs[3]
#define NETIO_ARG4 regs[4]

/* The arguments of a kernel function at its entry, and its result. */
#define NETIO_FN0(ctx) ((ctx)->regs[0])
#define NETIO_FN1(ctx) ((ctx)->regs[1])
#define NETIO_FN2(ctx) ((ctx)->regs[2])
#define NETIO_FN3(ctx) ((ctx)->regs[3])
#define NETIO_FN4(ctx) ((ctx)->regs[4])
#define NETIO_RET(ctx) ((ctx)->regs[0])
/* Where a thread's user registers lie, from the end of its kernel stack; see user_regs(). */
#define NETIO_STACK_SIZE 16384

#define NR_io_submit 2
#define NR_read 63
#define NR_write 64
#define NR_readv 65
#define NR_writev 66
#define NR_preadv 69
#define NR_pwritev 70
#define NR_sendfile 71
#define NR_splice 76
#define NR_sendto 206
#define NR_recvfrom 207
#define NR_getsockopt 209
#define NR_sendmsg 211
#define NR_recvmsg 212
#define NR_recvmmsg 243
#define NR_sendmmsg 269
#define NR_preadv2 286
#define NR_pwritev2 287
#define NR_io_uring_setup 425
#define NR_io_uring_enter 426
