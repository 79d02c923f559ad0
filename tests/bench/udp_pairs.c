/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worst case for a watcher of sockets: 64-byte datagrams between two connected UDP sockets on
 * loopback, sent and received by one thread. Hardly a system call does less for its process, so
 * what watching costs shows nowhere more. slices.h says how it is told what to do.
 */
#include "slices.h"
#include "udp.h"

static int from, to;

static void pairs(uint64_t count)
{
	exchange(from, to, count);
}

int main(void)
{
	udp_pair(INADDR_LOOPBACK, &from, &to);
	return serve(&(struct work){.rounds = pairs, .ops = 2, .burst = 64});
}
