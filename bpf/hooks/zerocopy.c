/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* zerocopy.h by the function that every getsockopt(2) on a TCP socket passes. */

ENTRY(tcp_getsockopt)
{
	WANTED;
	if (!is_zerocopy(ARG(1), ARG(2)) || !begins(bpf_get_current_pid_tgid() >> 32, wanted))
		return 0;
	return zerocopy_begins((void *)ARG(0), ARG(3), ARG(4));
}

RETURN(tcp_getsockopt)
{
	WANTED;
	return zerocopy_ends(wanted, RESULT(5));
}
