/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* splice.h by the function that all splices from sockets pass: nobody else pays for it. */

ENTRY(sock_splice_read)
{
	WANTED;
	return splice_begins(file_sk((void *)ARG(0)));
}

RETURN(sock_splice_read)
{
	WANTED;
	return splice_ends(wanted, (long)RESULT(5));
}
