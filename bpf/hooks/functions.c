/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The programs of the back-ends "kprobe" and "fexit": one for the entry and one for the return of
 * each function in functions.h. How they are declared and find their arguments is said in
 * kprobe.c and fexit.c.
 */

#define COUNT(name, fn, nargs, type, dir) \
	RETURN(name) { WANTED; return leave(wanted, fn, (type)RESULT(nargs), dir); }

ENTRY(sock_write_iter)
{
	WANTED;
	struct kiocb *kiocb = (void *)ARG(0);

	return enter(wanted, FN_WRITE_ITER, file_sk(READ(kiocb->ki_filp)), 0, NULL, 0, NO_LIMIT);
}
COUNT(sock_write_iter, FN_WRITE_ITER, 2, long, NETIO_DIR_SEND)

ENTRY(__sys_sendto)
{
	WANTED;
	return enter(wanted, FN_SENDTO, fd_sk(ARG(0)), 0, NULL, ARG(4), NO_LIMIT);
}
COUNT(__sys_sendto, FN_SENDTO, 6, int, NETIO_DIR_SEND)

ENTRY(____sys_sendmsg)
{
	WANTED;
	struct socket *sock = (void *)ARG(0);

	return enter(wanted, FN_SENDMSG, READ(sock->sk), 0, (void *)ARG(1), 0, NO_LIMIT);
}
COUNT(____sys_sendmsg, FN_SENDMSG, 5, int, NETIO_DIR_SEND)

ENTRY(sock_sendpage)
{
	WANTED;
	return enter(wanted, FN_SENDPAGE, file_sk((void *)ARG(0)), 0, NULL, 0, NO_LIMIT);
}
COUNT(sock_sendpage, FN_SENDPAGE, 6, long, NETIO_DIR_SEND)

ENTRY(sock_sendmsg)
{
	WANTED;
	struct socket *sock = (void *)ARG(0);

	return enter(wanted, FN_SOCK_SENDMSG, READ(sock->sk), 0, (void *)ARG(1), 0, NO_LIMIT);
}
COUNT(sock_sendmsg, FN_SOCK_SENDMSG, 2, int, NETIO_DIR_SEND)

ENTRY(sock_read_iter)
{
	WANTED;
	struct kiocb *kiocb = (void *)ARG(0);

	return enter(wanted, FN_READ_ITER, file_sk(READ(kiocb->ki_filp)), 0, NULL, 0, NO_LIMIT);
}
COUNT(sock_read_iter, FN_READ_ITER, 2, long, NETIO_DIR_RECV)

ENTRY(__sys_recvfrom)
{
	WANTED;
	return enter(wanted, FN_RECVFROM, fd_sk(ARG(0)), ARG(3), NULL, 0, ARG(2));
}
COUNT(__sys_recvfrom, FN_RECVFROM, 6, int, NETIO_DIR_RECV)

ENTRY(____sys_recvmsg)
{
	WANTED;
	struct socket *sock = (void *)ARG(0);

	return enter(wanted, FN_RECVMSG, READ(sock->sk), ARG(4), (void *)ARG(1), 0, NO_LIMIT);
}
COUNT(____sys_recvmsg, FN_RECVMSG, 6, int, NETIO_DIR_RECV)

ENTRY(sock_splice_read)
{
	WANTED;
	return enter(wanted, FN_SPLICE_READ, file_sk((void *)ARG(0)), 0, NULL, 0, NO_LIMIT);
}
COUNT(sock_splice_read, FN_SPLICE_READ, 5, long, NETIO_DIR_RECV)

ENTRY(sock_recvmsg)
{
	WANTED;
	struct socket *sock = (void *)ARG(0);

	enter(wanted, FN_SOCK_RECVMSG, READ(sock->sk), ARG(2), (void *)ARG(1), 0, NO_LIMIT);
	return receiving((void *)ARG(1));
}
COUNT(sock_recvmsg, FN_SOCK_RECVMSG, 3, int, NETIO_DIR_RECV)

/* Gives up a UDP datagram once it is delivered: the sender, whether it was asked for or not. */
ENTRY(skb_consume_udp)
{
	WANTED;
	return received_from((void *)ARG(1));
}
