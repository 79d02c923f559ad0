/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * tracepoint.c by raw tracepoints: the cheapest. On kernels that run them with preemption on
 * (seen on 7.2) one is skipped while another thread is preempted inside it on that CPU.
 */

RAW_TRACEPOINT_PROBE(sock_send_length)
{
	return sent((void *)ctx->args[0], (int)ctx->args[1]);
}

RAW_TRACEPOINT_PROBE(sock_recv_length)
{
	return received((void *)ctx->args[0], (int)ctx->args[1], (int)ctx->args[2]);
}
