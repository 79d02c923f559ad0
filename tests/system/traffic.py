"""Known traffic: `python3 traffic.py KIND [ARGUMENT...]`, a process of its own for a test to watch.

It prints "ready", waits for a line on standard input, moves bytes on loopback, prints what its own
calls returned as one line of JSON ({"sent": bytes, "recv": bytes, ...}), and ends with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import http.client
import http.server
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
HOST = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}


def udp_echo(rounds: str = "50") -> dict[str, Any]:
    """An unconnected server and an unconnected client that echo datagrams of several sizes."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    sent = recv = 0
    for i in range(int(rounds)):
        sent += client.sendto(b"x" * (i * 37 % 1200 + 1), server.getsockname())
        data, peer = server.recvfrom(2000)
        sent += server.sendto(data, peer)
        recv += len(data) + len(client.recvfrom(2000)[0])
    names = [f"127.0.0.1:{s.getsockname()[1]}" for s in (server, client)]
    return {"sent": sent, "recv": recv, "server": names[0], "client": names[1]}


def tcp(version: str = "4") -> dict[str, Any]:
    """A server and a client in one process; the client half-closes before it reads the answer."""
    family, host = HOST[int(version)]
    listener = socket.socket(family)
    listener.bind((host, 0))
    listener.listen()
    client = socket.create_connection(listener.getsockname()[:2])
    server, _ = listener.accept()
    sent = client.send(b"q" * 1000)
    server.recv(300, socket.MSG_PEEK)
    recv = len(server.recv(4000))
    client.shutdown(socket.SHUT_WR)
    sent += server.send(b"a" * 2000)
    server.close()
    while data := client.recv(700):
        recv += len(data)
    own = client.getsockname()[:2]
    peer = listener.getsockname()[:2]
    form = "[%s]:%d" if family == socket.AF_INET6 else "%s:%d"
    return {"sent": sent, "recv": recv, "client": form % own, "server": form % peer}


def unix_pair() -> dict[str, Any]:
    """Both ends of a socketpair."""
    a, b = socket.socketpair()
    sent = a.send(b"1234567") + b.send(b"123")
    return {"sent": sent, "recv": len(b.recv(100)) + len(a.recv(100)), "pid": os.getpid()}


def unix_path(path: str) -> dict[str, Any]:
    """A named unix socket (a leading @: abstract) and a client of it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + path[1:] if path.startswith("@") else path)
    listener.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(listener.getsockname())
    server, _ = listener.accept()
    sent = client.send(b"x" * 11) + server.send(b"y" * 22)
    return {"sent": sent, "recv": len(server.recv(100)) + len(client.recv(100))}


def netlink() -> dict[str, Any]:
    """Ask the kernel for its links over netlink; and a byte through a socketpair."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        # struct nlmsghdr (RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP) and struct rtgenmsg
        sent, recv = sock.send(struct.pack("=IHHIIB3x", 20, 18, 0x301, 1, 0, 0)), 0
        kind = 0
        while kind not in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
            data = sock.recv(65536)
            recv += len(data)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                data = data[-(-size // 4) * 4 :]
    a, b = socket.socketpair()
    a.send(b"x")
    b.recv(1)
    return {"sent": sent, "recv": recv}


def short_connections(count: str) -> dict[str, Any]:
    """Many connections of one request and one answer each, to a server in the same process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    total = {"sent": 0, "recv": 0}
    for _ in range(int(count)):
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                total["sent"] += client.send(b"GET")
                total["recv"] += len(server.recv(10))
                total["sent"] += server.send(b"answer")
            while data := client.recv(10):
                total["recv"] += len(data)
    return total


def splice() -> dict[str, Any]:
    """From a TCP socket into a pipe, without a copy in between."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    sent = client.send(b"x" * 1234)
    reader, writer = os.pipe()
    moved = _libc.splice(server.fileno(), None, writer, None, ctypes.c_size_t(5000), 0)
    return {"sent": sent, "recv": moved, "pipe": len(os.read(reader, 5000))}


def blocked(count: str) -> dict[str, Any]:
    """So many threads wait in recv(2) at once; when they are through, each receives once more."""
    pairs = [socket.socketpair() for _ in range(int(count))]
    turn = threading.Lock()
    sizes: list[int] = []

    def receive(end: socket.socket) -> None:
        first = len(end.recv(100))
        with turn:
            sizes.append(first + len(end.recv(100)))

    threads = [threading.Thread(target=receive, args=(b,)) for _, b in pairs]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    sent = sum(a.send(b"x" * 10) for a, _ in pairs)
    time.sleep(0.5)
    sent += sum(a.send(b"y" * 3) for a, _ in pairs)
    for thread in threads:
        thread.join()
    return {"sent": sent, "recv": sum(sizes)}


def many_peers(count: str) -> dict[str, Any]:
    """A datagram to each of so many addresses: each a connection of its own. Nobody listens."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sent = 0
    for i in range(int(count)):
        host = f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
        sent += sock.sendto(b"x" * (1 + i % 50), (host, 9))
    return {"sent": sent, "recv": 0}


def family(count: str) -> dict[str, Any]:
    """So many child processes; then each sends and receives as many bytes as its number says."""
    gate, opened = os.pipe()
    reports, tell = os.pipe()
    pids = []
    for number in range(int(count)):
        pid = os.fork()
        if pid == 0:
            os.close(opened)
            os.read(gate, 1)  # ends when the parent closes its end
            a, b = socket.socketpair()
            a.send(b"x" * (number % 100 + 1))
            b.recv(200)
            os.write(tell, b".")
            os.read(0, 1)
            os._exit(0)
        pids.append(pid)
    print(json.dumps({"pids": pids}), flush=True)
    sys.stdin.readline()
    os.close(opened)
    done = 0
    while done < len(pids):
        done += len(os.read(reports, 65536))
    total = sum(number % 100 + 1 for number in range(len(pids)))
    return {"sent": total, "recv": total}


def stream(count: str, size: str = "64", fork: str = "") -> dict[str, Any]:
    """`count` datagrams of `size` bytes over a unix pair; with `fork`, a child does the same."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    data = b"x" * int(size)
    child = os.fork() if fork else None
    sent = recv = 0
    for _ in range(int(count)):
        sent += a.send(data)
        recv += len(b.recv(65536))
    if child == 0:
        os._exit(0)
    if child:
        os.waitpid(child, 0)
    return {"sent": sent, "recv": recv, "events": 2 * int(count)}


_kept: list[tuple[socket.socket, socket.socket]] = []


def kept_pairs(count: str, before: str) -> dict[str, Any]:
    """A datagram over each of so many pairs of UDP sockets, which stay for the next time; the
    first time after `before` datagrams over a unix pair."""
    if not _kept:
        stream(before)
        _kept.extend(_pair("udp") for _ in range(int(count)))
    for a, b in _kept:
        a.send(b"x")
        b.recv(1)
    return {"ports": [one.getsockname()[1] for pair in _kept for one in pair]}


def paced(rate: str, seconds: str) -> dict[str, Any]:
    """For so long, `rate` operations a second: datagrams of 64 bytes over a unix pair."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    data, done, began = b"x" * 64, 0, time.monotonic()
    while (now := time.monotonic() - began) < float(seconds):
        for _ in range(int(now * int(rate) / 2) - done):
            a.send(data)
            b.recv(100)
            done += 1
        time.sleep(0.001)
    return {"events": 2 * done}


def calls(kind: str) -> dict[str, Any]:
    """Each call that moves bytes, once, over `kind`: tcp, unix or udp; another size each time."""
    a, b = _pair(kind)
    done: list[tuple[str, str, int]] = []

    def move(send_call: str, send: Any, recv_call: str, recv: Any) -> None:
        data = b"x" * (len(done) + 11)
        done.append((send_call, "SEND", send(data)))
        done.append((recv_call, "RECV", recv(len(data))))

    libc, room = _libc, bytearray(100)
    out, into = a.fileno(), b.fileno()

    def send_mmsg(data: bytes) -> int:
        message = _message(ctypes.create_string_buffer(data, len(data)), len(data))
        assert libc.sendmmsg(out, message, 1, 0) == 1
        return _length(message)

    def recv_mmsg(_size: int) -> int:
        message = _message(ctypes.create_string_buffer(100), 100)
        assert libc.recvmmsg(into, message, 1, 0, None) == 1
        return _length(message)

    def send_file(data: bytes) -> int:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.sendfile(out, file.fileno(), 0, len(data))

    def splice_out(data: bytes) -> int:
        reader, writer = os.pipe()
        os.write(writer, data)
        moved: int = libc.splice(reader, None, out, None, len(data), 0)
        os.close(reader)
        os.close(writer)
        return moved

    # These also work at no place in particular, which is -1, and so on sockets.
    def pwritev2(data: bytes) -> int:
        return os.pwritev(out, [data], -1, os.RWF_DSYNC)

    def preadv2(_size: int) -> int:
        return os.preadv(into, [room], -1, os.RWF_NOWAIT)

    move("sendto", a.send, "recvfrom", lambda _n: len(b.recv(100)))
    move("sendto", a.send, "recvfrom", lambda _n: b.recvfrom_into(room)[0])
    move(
        "sendmsg", lambda d: a.sendmsg([d[:5], d[5:]]), "recvmsg", lambda _n: len(b.recvmsg(100)[0])
    )
    move("write", lambda d: os.write(out, d), "read", lambda _n: len(os.read(into, 100)))
    move(
        "writev",
        lambda d: os.writev(out, [d[:5], d[5:]]),
        "readv",
        lambda _n: os.readv(into, [room]),
    )
    move("sendmmsg", send_mmsg, "recvmmsg", recv_mmsg)
    move("pwritev2", pwritev2, "preadv2", preadv2)
    move("sendfile", send_file, "read", lambda _n: len(os.read(into, 100)))
    move("splice", splice_out, "read", lambda _n: len(os.read(into, 100)))
    return {"calls": done, "tid": threading.get_native_id()}


def failures(rounds: str = "1") -> dict[str, Any]:
    """Sends and receives that fail, each in another way, between some that do not."""
    failed: list[tuple[str, str, str]] = []
    moved = {"SEND": 0, "RECV": 0}

    def fails(call: str, way: str, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except OSError as error:
            failed.append((call, way, errno.errorcode[error.errno or 0]))

    def pair() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            return client, listener.accept()[0]

    for _ in range(int(rounds)):
        client, server = pair()
        moved["SEND"] += client.send(b"x" * 100)
        moved["RECV"] += len(server.recv(40))
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.recv(10)  # nothing yet: no failure
        client.setblocking(True)
        server.close()  # with bytes unread: a reset
        fails("recvfrom", "RECV", client.recv, 10)
        fails("sendto", "SEND", client.send, b"y" * 7)
        fails("write", "SEND", os.write, client.fileno(), b"y")
        client.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            closed = one.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            fails("sendto", "SEND", one.sendto, b"z" * 66_000, closed)
            one.connect(closed)
            moved["SEND"] += one.send(b"z" * 50)
            fails("recvmsg", "RECV", one.recvmsg, 10)
        near, far = socket.socketpair()
        moved["SEND"] += near.send(b"u" * 30)
        moved["RECV"] += len(far.recv(30))
        far.close()
        fails("sendmsg", "SEND", near.sendmsg, [b"u"])
        near.close()
        with socket.socket() as one:
            fails("read", "RECV", os.read, one.fileno(), 1)
    return {"failed": failed, "sent": moved["SEND"], "recv": moved["RECV"]}


def _pair(kind: str) -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected to each other."""
    if kind == "unix":
        return socket.socketpair()
    if kind == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        return socket.create_connection(listener.getsockname()), listener.accept()[0]
    a, b = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
    for one in (a, b):
        one.bind(("::1", 0))
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    return a, b


def _message(data: Any, size: int) -> Any:
    """A struct mmsghdr with one iovec, as 64-bit machines lay it out."""
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(data), size)
    message = (ctypes.c_uint64 * 8)(0, 0, ctypes.addressof(vector), 1)
    message.kept = (data, vector)  # type: ignore[attr-defined]
    return message


def _length(message: Any) -> int:
    """msg_len: how much was moved."""
    return int(message[7]) & 0xFFFFFFFF


def http_pair() -> dict[str, Any]:
    """Ten requests to an HTTP server in the same process."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b"z" * 500)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bodies = 0
    for _ in range(10):
        connection = http.client.HTTPConnection(*server.server_address[:2])
        connection.request("GET", "/")
        bodies += len(connection.getresponse().read())
        connection.close()
    server.shutdown()
    return {"bodies": bodies, "server": f"127.0.0.1:{server.server_address[1]}"}


def rename(name: str) -> dict[str, Any]:
    """No traffic: the process takes another name."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)
    return {}


KINDS = {
    f.__name__: f
    for f in (
        udp_echo,
        tcp,
        unix_pair,
        unix_path,
        netlink,
        splice,
        blocked,
        many_peers,
        family,
        short_connections,
        stream,
        kept_pairs,
        paced,
        calls,
        failures,
        http_pair,
        rename,
    )
}


def main() -> None:
    kind, *arguments = sys.argv[1:]
    print("ready", flush=True)
    for _line in sys.stdin:
        print(json.dumps(KINDS[kind](*arguments)), flush=True)


if __name__ == "__main__":
    main()
