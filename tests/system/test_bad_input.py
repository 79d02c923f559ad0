"""Bad input: one clear line, a status that is not 0, nothing lost, no traceback."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from netioctl.wire import PROTOCOL_VERSION, control
from tests.system.conftest import ALICE, TOP, Daemon, StartDaemon, StartTraffic, Watch, as_user

NOBODY_HAS = 4_194_304


def one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def netiod(
    *options: str, uid: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*as_user(uid), sys.executable, "-m", "netiod", *options],
        cwd=TOP,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_netiod_without_root() -> None:
    one_line(netiod(uid=ALICE), 3, "root")


def test_netiod_without_bcc(tmp_path: Path) -> None:
    # The import system takes None for "there is no such module".
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['bcc'] = None\n")
    done = netiod("--run-dir", str(tmp_path / "run"), PYTHONPATH=str(tmp_path))
    one_line(done, 3, "python3-bpfcc", "netioctl doctor")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ring-size", "5000"], ["ring", "power of two"]),
        (["--ring-size", "-1"], ["ring"]),
        (["--backend", "magic"], ["magic", "tracepoint"]),
        (["--max-pids", "0"], ["max-pids"]),
        (["--config", "/nonexistent.toml"], ["/nonexistent.toml"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_netiod_with_wrong_options(tmp_path: Path, options: list[str], words: list[str]) -> None:
    done = netiod("--run-dir", str(tmp_path / "run"), *options)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.splitlines()[-1]


def test_daemon_not_running(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netioctl", "--run-dir", str(tmp_path), "list"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "systemctl status netiod" in done.stderr
    assert done.stderr.endswith("; see: netioctl doctor\n")
    assert "--run-dir" in done.stderr


@pytest.mark.parametrize("verb", ["watch", "add", "remove", "summary"])
@pytest.mark.parametrize("pid", ["abc", "0", "-5", "99999999999", "1.5", ""])
def test_what_is_no_pid(daemon: Daemon, verb: str, pid: str) -> None:
    done = daemon.ctl(verb, pid)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "PID" in done.stderr or "option" in done.stderr


@pytest.mark.parametrize("verb", ["watch", "add", "remove", "summary"])
def test_no_such_process(daemon: Daemon, verb: str) -> None:
    one_line(daemon.ctl(verb, NOBODY_HAS), 1, "no such process", str(NOBODY_HAS))


def test_a_process_of_another_user(daemon: Daemon) -> None:
    done = daemon.ctl("watch", os.getpid(), uid=ALICE)
    one_line(done, 1, f"process {os.getpid()} belongs to root", "netio")


def test_removing_what_was_not_added(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    one_line(daemon.ctl("remove", one.pid), 1, str(one.pid), "not")


def test_adding_twice_is_a_notice(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    daemon.ctl("add", one.pid)
    again = daemon.ctl("add", one.pid)
    assert again.returncode == 0
    assert "already added" in again.stderr


def test_some_pids_are_wrong(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    done = daemon.ctl("add", one.pid, NOBODY_HAS)
    assert done.returncode == 1
    assert [r["pid"] for r in daemon.json("list")] == [one.pid]


def test_stdout_closed(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 20_000)
    watch = Watch(daemon, "--json", one.pid).wait_ready()
    assert watch.process.stdout is not None
    one.start()
    watch.process.stdout.readline()
    watch.process.stdout.close()
    assert watch.process.stderr is not None
    rest = watch.process.stderr.read()
    watch.process.stderr.close()
    watch.process.wait(10)
    assert "Traceback" not in rest
    assert "BrokenPipe" not in rest


def test_a_narrow_terminal(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    daemon.ctl("add", one.pid)
    for verb in (["list"], ["status"], ["summary", str(one.pid)]):
        done = subprocess.run(
            daemon.command(*verb),
            cwd=TOP,
            env={**daemon.environment, "COLUMNS": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_filter_is_full(start_daemon: StartDaemon, traffic: StartTraffic) -> None:
    daemon = start_daemon("--max-pids", 2)
    several = [traffic("tcp") for _ in range(3)]
    done = daemon.ctl("add", *(t.pid for t in several))
    assert done.returncode == 1
    assert "filter is full: it holds 2 processes" in done.stderr
    assert len(daemon.json("list")) == 2


def ask(sock: socket.socket, data: bytes) -> dict[str, Any]:
    sock.sendall(data)
    line = sock.makefile("rb").readline()
    answer: dict[str, Any] = json.loads(line)
    return answer


RUBBISH = {
    "invalid UTF-8": (b"\xff\xfe\n", -32700),
    "not JSON": (b"hello\n", -32700),
    "deep JSON": (b"[" * 30_000 + b"]" * 30_000 + b"\n", -32700),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n", -32700),
    "a list": (b"[]\n", -32700),
    "no version": (b'{"id":1,"method":"list"}\n', -32600),
    "no id": (b'{"jsonrpc":"2.0","method":"list"}\n', -32600),
    "unknown method": (b'{"jsonrpc":"2.0","id":1,"method":"__class__"}\n', -32601),
    "params a list": (b'{"jsonrpc":"2.0","id":1,"method":"list","params":[1]}\n', -32602),
    "no pids": (b'{"jsonrpc":"2.0","id":1,"method":"add","params":{}}\n', -32602),
    "empty pids": (b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"pids":[]}}\n', -32602),
    "pids of text": (b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"pids":["1"]}}\n', -32602),
    "pid true": (b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"pids":[true]}}\n', -32602),
    "pid 1e999": (b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"pids":[1e999]}}\n', -32602),
    "huge pid": (
        b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"pids":[' + b"9" * 5000 + b"]}}\n",
        None,
    ),
    "no ids": (b'{"jsonrpc":"2.0","id":1,"method":"describe","params":{}}\n', -32602),
    "id true": (b'{"jsonrpc":"2.0","id":1,"method":"describe","params":{"ids":[true]}}\n', -32602),
    "many ids": (
        b'{"jsonrpc":"2.0","id":1,"method":"describe","params":{"ids":[' + b"1," * 4096 + b"1]}}\n",
        -32602,
    ),
    "another version": (
        b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":99}}\n',
        -32004,
    ),
}


@pytest.mark.parametrize("case", RUBBISH)
def test_rubbish_on_the_control_socket(daemon: Daemon, case: str) -> None:
    data, code = RUBBISH[case]
    with daemon.connect() as sock:
        answer = ask(sock, data)
        assert "error" in answer
        if code is not None:
            assert answer["error"]["code"] == code
        assert "\n" not in answer["error"]["message"]
        # The connection goes on.
        good = ask(
            sock, control.encode(control.request(7, "hello", {"protocol": PROTOCOL_VERSION}))
        )
        assert good["id"] == 7
        assert good["result"]["protocol"] == PROTOCOL_VERSION
    assert "Traceback" not in daemon.log


def test_a_megabyte_without_a_newline(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        with contextlib.suppress(OSError):  # it stops listening on the way
            sock.sendall(b"x" * (1 << 20))
        answer = sock.makefile("rb").readline()
        assert json.loads(answer)["error"]["code"] == -32600
        assert sock.recv(1) == b""
    assert daemon.ctl("list").returncode == 0


def test_a_viewer_of_another_version_is_told(daemon: Daemon) -> None:
    code = (
        "import netioctl.wire as w; w.PROTOCOL_VERSION = 99\n"
        "from netioctl.main import main; import sys; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--run-dir", str(daemon.run_dir), "watch", "1"],
        cwd=TOP,
        env=daemon.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    one_line(done, 1, f"protocol {PROTOCOL_VERSION}", "99")


def test_a_process_that_exits_between_check_and_attach(
    daemon: Daemon,
) -> None:
    # Many of them, so that some fall into the gap; whatever happens, nothing stays behind.
    with daemon.connect() as sock:
        reader = sock.makefile("rb")
        for i in range(60):
            child = subprocess.Popen(["true"])
            params = {"pids": [child.pid]}
            request = {"jsonrpc": "2.0", "id": i, "method": "add", "params": params}
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(reader.readline())
            assert answer["id"] == i
            assert "result" in answer
            child.wait()
    deadline = time.monotonic() + 5
    while any(r["exited"] is None for r in daemon.json("list")):
        assert time.monotonic() < deadline, "a process that is gone is still held"
        time.sleep(0.05)
