"""The script ./netio: its messages, its files, and that it leaves no process behind.

What it starts is replaced by small fakes in a copied checkout, so nothing here needs BPF.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
NETIO = TOP / "netio"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FAKE_NETIOD = """
import os, signal, socket, sys
directory = sys.argv[sys.argv.index("--run-dir") + 1]
if "--backend=none" in sys.argv:
    sys.exit("netiod: no back-end")
os.makedirs(directory, exist_ok=True)
control = socket.socket(socket.AF_UNIX)
control.bind(directory + "/control.sock")
control.listen()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
# Each line in one write: netioctl writes to the same pipe.
os.write(2, " ".join(["netiod", *sys.argv[1:]]).encode() + b"\\n")
name = signal.sigwait([signal.SIGTERM, signal.SIGINT]).name
os.write(2, f"netiod ends on {name}\\n".encode())
os.unlink(directory + "/control.sock")
"""

FAKE_NETIOCTL = """
import os, socket, sys, time
control = socket.socket(socket.AF_UNIX)
control.connect(os.environ["NETIO_RUN_DIR"] + "/control.sock")
if sys.argv[1] == "status":
    sys.exit()
try:
    print(*sys.argv[1:], flush=True)
    time.sleep(0 if "--duration=0" in sys.argv else 60)
except KeyboardInterrupt:
    print("interrupted once")
    print("summary", flush=True)
    sys.exit(130)
print("summary")
sys.exit(4 if "4" in sys.argv else 0)
"""


def netio(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [str(options.pop("script", NETIO)), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.fixture
def as_nobody() -> list[str]:
    """The start of a command line that runs the rest without privileges."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the script with a netiod and a netioctl that only pretend."""
    top = tmp_path / "checkout"
    for package, main in ("netiod", FAKE_NETIOD), ("netioctl", FAKE_NETIOCTL):
        (top / package).mkdir(parents=True)
        (top / package / "__init__.py").touch()
        (top / package / "__main__.py").write_text(main)
    shutil.copy(NETIO, top)
    shutil.copy(TOP / "netioctl" / "demo.py", top / "netioctl")
    shutil.copytree(TOP / "systemd", top / "systemd")
    return top


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "NETIO_RUN_DIR": str(checkout / "run")}


def start(checkout: Path, *arguments: str, through: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """`./netio run` in a session of its own, with both outputs in one pipe."""
    return subprocess.Popen(
        [*through, str(checkout / "netio"), "run", *arguments],
        env=environment(checkout),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stdout
    for line in process.stdout:
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"no line matches {pattern!r}")


def processes_below(checkout: Path) -> list[str]:
    """Command lines of the processes that work in this checkout."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if (entry / "cwd").resolve().is_relative_to(checkout):
                found.append((entry / "cmdline").read_text())
    return found


def assert_nothing_left(checkout: Path) -> None:
    deadline = time.monotonic() + 5
    while left := processes_below(checkout):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert not (checkout / "run" / "control.sock").exists()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_syntax_is_posix(shell: str) -> None:
    posix = ["--posix"] if shell == "bash" else []
    subprocess.run([shell, *posix, "-n", str(NETIO)], check=True)


def test_is_executable() -> None:
    assert os.access(NETIO, os.X_OK)
    assert os.access(TOP / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("argument", ["help", "-h", "--help"])
def test_help_names_every_verb(argument: str) -> None:
    done = netio(argument)
    assert (done.returncode, done.stderr) == (0, "")
    verbs = re.findall(r"^verb_(\w+)\(\)", NETIO.read_text(), re.M)
    assert verbs
    assert set(verbs) <= set(re.findall(r"^  (\w+)", done.stdout, re.M))


def test_help_fits_a_hundred_columns() -> None:
    assert max(map(len, netio("help").stdout.splitlines())) <= 100


def test_no_command() -> None:
    done = netio()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")


def test_unknown_command() -> None:
    done = netio("wacth")
    assert done.returncode == 2
    assert done.stderr == "netio: unknown command 'wacth': ./netio help lists them\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["install", "--prefix"],
        ["install", "--prefix", "relative"],
        ["install", "--purge"],
        ["install", "now"],
        ["uninstall", "--all"],
        ["run", "--backend"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = netio(*arguments)
    assert done.returncode == 2
    assert re.fullmatch(rf"netio: {arguments[0]}: .*\n", done.stderr)


@pytest.mark.parametrize(
    "verb", ["run", "test", "bench", "accuracy", "kernels", "soak", "install", "uninstall"]
)
def test_not_root(as_nobody: list[str], verb: str) -> None:
    # The script goes through a pipe, because nobody may be unable to read the checkout.
    done = subprocess.run(
        [*as_nobody, "sh", "-s", "--", verb],
        check=False,
        input=NETIO.read_text(),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 77
    assert done.stderr == f"netio: {verb} needs root: sudo ./netio {verb}\n"
    assert done.stdout == ""


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/opt/net io"])
def test_install_and_uninstall_leave_nothing(tmp_path: Path, prefix: str) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    before = files_below(root)
    env = {**os.environ, "DESTDIR": str(root)}

    assert netio("install", "--prefix", prefix, env=env).returncode == 0
    there = files_below(root)
    at = prefix.lstrip("/")
    units = "usr/lib" if prefix == "/usr" else "etc"
    assert {
        f"{at}/sbin/netiod",
        f"{at}/bin/netioctl",
        f"{at}/lib/netio/netioctl/__init__.py",
        f"{at}/lib/netio/bpf/event.h",
        f"{units}/systemd/system/netiod.service",
        f"{units}/systemd/system/netiod.socket",
        f"{units}/systemd/system/netio-exporter.service",
        f"{units}/sysusers.d/netio.conf",
        f"{units}/tmpfiles.d/netio.conf",
        "etc/netio/netiod.toml",
        f"{at}/share/man/man8/netiod.8",
        f"{at}/share/man/man1/netioctl-watch.1",
        f"{at}/share/bash-completion/completions/netioctl",
        f"{at}/share/fish/vendor_completions.d/netioctl.fish",
    } <= there
    assert [name for name in there if name.endswith("/_netioctl") and "/zsh/" in name]
    assert not any("__pycache__" in name for name in there)
    unit = (root / units / "systemd/system/netiod.service").read_text()
    assert f"\nExecStart={prefix}/sbin/netiod\n" in unit
    unit = (root / units / "systemd/system/netio-exporter.service").read_text()
    assert f"\nExecStart={prefix}/bin/netioctl exporter\n" in unit

    assert netio("install", "--prefix", prefix, env=env).returncode == 0
    assert files_below(root) == there
    assert netio("uninstall", "--prefix", prefix, env=env).returncode == 0
    assert files_below(root) == before

    again = netio("uninstall", "--prefix", prefix, env=env)
    assert again.returncode == 0
    assert "nothing is installed" in again.stderr


def test_installed_modes(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        assert netio("install", env={**os.environ, "DESTDIR": str(tmp_path)}).returncode == 0
    finally:
        os.umask(previous)
    for path in tmp_path.rglob("*"):
        mode = path.stat().st_mode & 0o777
        runs = path.is_dir() or path.parent.name in {"bin", "sbin"}
        assert mode == (0o755 if runs else 0o644), path


def test_launchers_import_from_the_installed_place_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    prefix = str(tmp_path / "prefix")
    env = {**os.environ, "DESTDIR": str(root)}
    assert netio("install", "--prefix", prefix, env=env).returncode == 0
    (tmp_path / "netioctl").mkdir()
    (tmp_path / "netioctl" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    launcher = root / prefix.lstrip("/") / "bin" / "netioctl"
    shutil.move(root / prefix.lstrip("/"), prefix)
    main = Path(prefix) / "lib" / "netio" / "netioctl" / "main.py"
    main.write_text("def main():\n    print(__file__)\n    return 5\n")
    done = subprocess.run(
        [Path(prefix) / "bin" / launcher.name],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{main}\n", "")
    assert done.returncode == 5


def test_upgrade_removes_what_is_gone(checkout: Path, tmp_path: Path) -> None:
    (checkout / "bpf").mkdir()
    (checkout / "bpf" / "core.c").touch()
    (checkout / "bpf" / "old.c").touch()
    root = tmp_path / "root"
    env = {**os.environ, "DESTDIR": str(root)}
    script = checkout / "netio"
    assert netio("install", script=script, env=env).returncode == 0
    assert (root / "usr/lib/netio/bpf/old.c").exists()
    (checkout / "bpf" / "old.c").unlink()
    assert netio("install", script=script, env=env).returncode == 0
    assert (root / "usr/lib/netio/bpf/core.c").exists()
    assert not (root / "usr/lib/netio/bpf/old.c").exists()
    assert netio("uninstall", script=script, env=env).returncode == 0
    assert files_below(root) == set()


def test_changed_configuration_stays(checkout: Path, tmp_path: Path) -> None:
    (checkout / "bpf").mkdir()
    root = tmp_path / "root"
    env = {**os.environ, "DESTDIR": str(root)}
    script = checkout / "netio"
    example = checkout / "systemd" / "netiod.toml"
    config = root / "etc/netio/netiod.toml"

    assert netio("install", script=script, env=env).returncode == 0
    example.write_text("# a newer example\n")
    assert netio("install", script=script, env=env).returncode == 0
    assert config.read_text() == "# a newer example\n"

    config.write_text("verbose = true\n")
    assert netio("install", script=script, env=env).returncode == 0
    done = netio("uninstall", script=script, env=env)
    assert done.returncode == 0
    assert "keeping" in done.stderr
    assert config.read_text() == "verbose = true\n"
    assert files_below(root) == {"etc", "etc/netio", "etc/netio/netiod.toml"}

    assert netio("install", script=script, env=env).returncode == 0
    assert netio("uninstall", "--purge", script=script, env=env).returncode == 0
    assert not config.exists()


@needs_root
def test_run_passes_options_on(checkout: Path) -> None:
    done = netio(
        *("run", "--json", "-v", "11", "--backend", "syscall", "--ring-size=4096", "12"),
        *("--netlink", "--duration", "0"),
        script=checkout / "netio",
        env=environment(checkout),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "watch --json 11 12 --duration=0\nsummary\n"
    options = f"--run-dir {checkout}/run -v --backend=syscall --ring-size=4096 --netlink"
    assert done.stderr == f"netiod {options}\nnetiod ends on SIGTERM\n"
    assert_nothing_left(checkout)


@needs_root
def test_run_ends_with_the_status_of_watch(checkout: Path) -> None:
    done = netio(
        *("run", "4", "--duration=0"), script=checkout / "netio", env=environment(checkout)
    )
    assert done.returncode == 4
    assert_nothing_left(checkout)


@needs_root
def test_run_when_the_daemon_cannot_start(checkout: Path) -> None:
    done = netio(
        *("run", "1", "--backend=none"), script=checkout / "netio", env=environment(checkout)
    )
    assert done.returncode == 1
    assert done.stderr == (
        "netiod: no back-end\nnetio: netiod ended with status 1 before it was ready\n"
    )
    assert_nothing_left(checkout)


@needs_root
def test_run_uses_the_daemon_that_runs(checkout: Path) -> None:
    first = start(checkout, "1")
    read_until(first, "^watch")
    done = netio(
        *("run", "2", "--duration=0"), script=checkout / "netio", env=environment(checkout)
    )
    assert done.returncode == 0
    assert f"using the netiod that runs on {checkout}/run" in done.stderr
    assert first.poll() is None
    first.terminate()
    assert first.communicate()[0].endswith("summary\nnetiod ends on SIGTERM\n")
    assert first.returncode == 0
    assert_nothing_left(checkout)


@needs_root
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_with_the_summary(checkout: Path, name: str) -> None:
    process = start(checkout)
    pids = read_until(process, r"^watch (\d+) (\d+)$").groups()
    comms = [Path(f"/proc/{pid}/comm").read_text() for pid in pids]
    assert comms == ["demo-server\n", "demo-client\n"]
    process.send_signal(getattr(signal, name))
    output = process.communicate(timeout=20)[0]
    assert output.endswith("interrupted once\nsummary\nnetiod ends on SIGTERM\n")
    assert process.returncode == 0
    assert_nothing_left(checkout)


@needs_root
def test_started_in_the_background_of_a_script(checkout: Path) -> None:
    # Such a process starts with SIGINT ignored.
    process = start(checkout, "1", through=("env", "--ignore-signal=INT"))
    read_until(process, "^watch")
    process.send_signal(signal.SIGINT)
    assert "summary\n" in process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert_nothing_left(checkout)


@needs_root
def test_killed_it_takes_its_children_along(checkout: Path) -> None:
    process = start(checkout)
    read_until(process, "^watch")
    process.kill()
    process.communicate(timeout=20)
    assert_nothing_left(checkout)


@needs_root
def test_ctrl_c_on_a_terminal(checkout: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", str(checkout / "netio"), "run"],
        env=environment(checkout),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    output = b""
    try:
        while b"watch " not in output:
            output += os.read(controller, 4096)
        os.write(controller, b"\x03")
        while True:
            output += os.read(controller, 4096)
    except OSError:  # how the kernel says that the terminal's last user is gone
        pass
    finally:
        os.close(controller)
    assert process.wait(20) == 0
    # netioctl got one SIGINT, and netiod none.
    assert output.endswith(b"interrupted once\r\nsummary\r\nnetiod ends on SIGTERM\r\n")
    assert_nothing_left(checkout)


@needs_root
@pytest.mark.parametrize("name", ["run", "test"])
def test_unknown_distribution_names_the_packages(checkout: Path, tmp_path: Path, name: str) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=plan9\nPRETTY_NAME="Plan 9"\n')
    # An isolated interpreter without modules stands in for a machine where nothing is installed.
    text = NETIO.read_text().replace("/etc/os-release", str(release))
    text = text.replace("python=/usr/bin/python3", f"python={tmp_path}/python3")
    (tmp_path / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    (checkout / "netio").write_text(text)
    done = netio(name, "1", script=checkout / "netio", env=environment(checkout))
    assert done.returncode == 1
    assert done.stderr.startswith("netio: Plan 9 is neither")
    assert "python3-bpfcc" in done.stderr
    assert ("python3-pytest" in done.stderr) == (name == "test")


#: Stands for apt: of the packages a, b and c, a is installed and there is no b.
FAKE_APT = """
os_name='Debian' installer=apt
missing_apt() { for package; do [ "$package" = a ] || echo "$package"; done; }
available_apt() { [ "$1" = c ] && [ -e lists ]; }
renew_apt() { echo renewed; touch lists; }
install_apt() { echo "installs $*"; return "${status-0}"; }
"""


def functions(tail: str, at: Path) -> subprocess.CompletedProcess[str]:
    """The script's functions with apt's replaced, and `tail` after them."""
    text = NETIO.read_text()
    assert text.endswith('\nmain "$@"\n')
    return subprocess.run(
        ["sh", "-s"],
        input=text.removesuffix('main "$@"\n') + FAKE_APT + tail,
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )


def test_optional_packages_that_exist_are_installed(tmp_path: Path) -> None:
    (tmp_path / "lists").touch()
    done = functions("install_optional a b c", tmp_path)
    assert (done.returncode, done.stdout) == (0, "installs c\n")


def test_package_lists_are_fetched_where_there_are_none(tmp_path: Path) -> None:
    done = functions("install_optional a b c", tmp_path)
    assert (done.returncode, done.stdout) == (0, "renewed\ninstalls c\n")


def test_nothing_optional_is_missing(tmp_path: Path) -> None:
    done = functions("install_optional a", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_optional_packages_that_cannot_be_installed(tmp_path: Path) -> None:
    (tmp_path / "lists").touch()
    done = functions("status=1; install_optional c; echo goes on", tmp_path)
    assert (done.returncode, done.stdout) == (0, "installs c\ngoes on\n")
    assert "going on without them" in done.stderr


@pytest.mark.parametrize(
    ("name", "perf"), [("Debian", "linux-perf"), ("Ubuntu 24.04", f"linux-tools-{os.uname()[2]}")]
)
def test_what_is_compared_starts_no_service(tmp_path: Path, name: str, perf: str) -> None:
    done = functions(f"os_name='{name}'; comparison_packages apt", tmp_path)
    packages = done.stdout.split()
    assert {perf, "strace", "bpftrace", "redis-tools"} <= set(packages)
    assert not {"redis-server", "nginx", "nginx-light"} & set(packages)


def test_nginx_that_is_missing_is_no_error(tmp_path: Path) -> None:
    tail = f"""
    command() {{ return 1; }}
    PATH={tmp_path}:$PATH
    nginx_cache={tmp_path}/cache
    unpack_nginx
    echo goes on
    """
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = functions(tail, tmp_path)
    assert (done.returncode, done.stdout) == (0, "goes on\n")
    assert "going on without nginx" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_demo_talks_until_its_parent_ends() -> None:
    shell = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -m netioctl.demo; :"],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert shell.stdout
        pids = shell.stdout.readline().split()
        assert len(pids) == 2
        deadline = time.monotonic() + 10
        while not established(pids[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        shell.kill()
    # Its end closes when the last of the demo's processes, which inherited it, has ended.
    assert shell.communicate(timeout=10)[0] == ""


def established(pid: str) -> bool:
    """Does this process hold a socket?"""
    return any("socket:" in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
