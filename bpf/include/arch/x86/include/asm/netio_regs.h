/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once
/* arch/x86/include/asm/ptrace.h; the order is ABI (struct user_regs_struct). */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define NETIO_SYSCALL_NR orig_ax
#define NETIO_ARG0 di
#define NETIO_ARG1 si
#define NETIO_ARG2 dx
#define NETIO_ARG3 r10
#define NETIO_ARG4 r8

/* The arguments of a kernel function at its entry, and its result. */
#define NETIO_FN0(ctx) ((ctx)->di)
#define NETIO_FN1(ctx) ((ctx)->si)
#define NETIO_FN2(ctx) ((ctx)->dx)
#define NETIO_FN3(ctx) ((ctx)->cx)
#define NETIO_FN4(ctx) ((ctx)->r8)
#define NETIO_RET(ctx) ((ctx)->ax)
/* Where a thread's user registers lie, from the end of its kernel stack; see user_regs(). */
#define NETIO_STACK_SIZE 16384

#define NR_read 0
#define NR_write 1
#define NR_readv 19
#define NR_writev 20
#define NR_sendfile 40
#define NR_sendto 44
#define NR_recvfrom 45
#define NR_sendmsg 46
#define NR_recvmsg 47
#define NR_getsockopt 55
#define NR_io_submit 209
#define NR_splice 275
#define NR_preadv 295
#define NR_pwritev 296
#define NR_recvmmsg 299
#define NR_sendmmsg 307
#define NR_preadv2 327
#define NR_pwritev2 328
#define NR_io_uring_setup 425
#define NR_io_uring_enter 426
