/* SPDX-License-Identifier: Apache-2.0 */
/* AIO, by its bare system calls: its library is not everywhere. */
#include "generator.h"

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long aio(int opcode, int fd, const void *at, size_t n)
{
	static aio_context_t context;	/* made once: its end takes the kernel long */
	struct iocb request = {.aio_fildes = fd, .aio_lio_opcode = opcode,
			       .aio_buf = (unsigned long)at, .aio_nbytes = n};
	struct iocb *list = &request;
	struct io_event event = {.res = -EIO};

	if (!context && syscall(__NR_io_setup, 1, &context))
		return -1;
	if (syscall(__NR_io_submit, context, 1, &list) == 1)
		syscall(__NR_io_getevents, context, 1, 1, &event, NULL);
	else
		event.res = -errno;
	errno = event.res < 0 ? -event.res : 0;
	return event.res < 0 ? -1 : event.res;
}

static long do_aio_pwrite(struct ends *ends, size_t n)
{
	return aio(IOCB_CMD_PWRITE, ends->a, out, n);
}

static long do_aio_pwritev(struct ends *ends, size_t n)
{
	return aio(IOCB_CMD_PWRITEV, ends->a, split(out, n), 2);
}

static long do_aio_pread(struct ends *ends, size_t n)
{
	fill(ends, n);
	return aio(IOCB_CMD_PREAD, ends->a, in, n);
}

static long do_aio_preadv(struct ends *ends, size_t n)
{
	fill(ends, n);
	return aio(IOCB_CMD_PREADV, ends->a, split(in, n), 2);
}

const struct op aio_ops[] = {
	{"aio-pwrite", "send", CONNECTED, BYTES, do_aio_pwrite},
	{"aio-pwritev", "send", CONNECTED, BYTES, do_aio_pwritev},
	{"aio-pread", "recv", 0, BYTES, do_aio_pread},
	{"aio-preadv", "recv", 0, BYTES, do_aio_preadv},
	{NULL, NULL, 0, 0, NULL},
};
