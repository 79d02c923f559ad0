"""How a connection's ends are written: `127.0.0.1:80`, `[::1]:443`, `/run/x.sock`, `@name`."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

_IDENT = struct.Struct("<QIHHHHHH16s16sQ")
#: Names of what connections have by number; others are `family33`, `proto99`.
FAMILIES = {
    1: "unix",
    2: "inet",
    10: "inet6",
    16: "netlink",
    17: "packet",
    40: "vsock",
}
PROTOS = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
    255: "raw",
    262: "mptcp",
}
_NETLINK = {
    0: "route",
    2: "usersock",
    4: "sock_diag",
    5: "nflog",
    6: "xfrm",
    7: "selinux",
    9: "audit",
    11: "connector",
    12: "netfilter",
    15: "uevent",
    16: "generic",
    20: "rdma",
    21: "crypto",
}
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}
_INET, _INET6, _UNIX, _NL = 2, 10, 1, 16


class Connection(NamedTuple):
    """A connection in words; None: unknown. `local` is the watched process's side.

    `proto` is the IP protocol, netlink's own, or else the socket's type: stream, dgram ...
    """

    pid: int
    family: str | None
    proto: str | None
    local: str | None
    remote: str | None


#: What bytes belong to that have no row of their own.
UNKNOWN = Connection(0, None, None, None, None)


def describe(
    ident: bytes, peer_pid: int, local: bytes, remote: bytes, comm: bytes = b""
) -> Connection:
    """The words for struct ident's 64 bytes, with a unix socket's raw names (sun_path).

    `peer_pid` and `comm` are the PID and name (task_struct.comm) of the process at a unix
    socket's other end; they stand where that end has no path. 0 and empty: unknown.
    """
    fields = _IDENT.unpack(ident)
    _, tgid, family, kind, proto, lport, rport, _, laddr, raddr, _ = fields
    family_name = FAMILIES.get(family, f"family{family}")
    if family in (_INET, _INET6):
        return Connection(
            tgid,
            family_name,
            PROTOS.get(proto, f"proto{proto}"),
            inet(family, laddr, lport),
            inet(family, raddr, rport) if rport or any(raddr) else None,
        )
    if family == _NL:
        return Connection(tgid, family_name, _NETLINK.get(proto, f"netlink{proto}"), None, None)
    proto_name = _TYPES.get(kind, f"type{kind}")
    if family == _UNIX:
        far = unix(remote) or _process(peer_pid, comm)
        return Connection(tgid, family_name, proto_name, unix(local), far)
    return Connection(tgid, family_name, proto_name, None, None)


def inet(family: int, address: bytes, port: int) -> str:
    """`127.0.0.1:80` or `[::1]:443` from an address in network byte order."""
    if family == _INET:
        return f"{socket.inet_ntop(socket.AF_INET, address[:4])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"


def split(end: str) -> tuple[str, int]:
    """Address and port of what inet() has written."""
    host, _, port = end.rpartition(":")
    return host.strip("[]"), int(port)


def unix(name: bytes) -> str | None:
    """A path, or `@name` for the abstract namespace, or None; unprintable bytes as `\\xNN`."""
    if not name:
        return None
    prefix, raw = ("@", name[1:]) if name[:1] == b"\0" else ("", name.split(b"\0", 1)[0])
    return prefix + _printable(raw)


def _process(pid: int, comm: bytes) -> str | None:
    """`pid 1234 (postgres)`, or what is known of it."""
    name = _printable(comm.split(b"\0", 1)[0])
    if not pid:
        return None
    return f"pid {pid} ({name})" if name else f"pid {pid}"


def _printable(raw: bytes) -> str:
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    return "".join(f"\\x{b:02x}" for b in char.encode("utf-8", "surrogatepass"))
