from __future__ import annotations

from pathlib import Path

import pytest

from netioctl.wire.errors import ConfigError
from netiod import backends, settings

NO_FILE: dict[str, object] = {}


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "netiod.toml"
    path.write_text(text)
    return str(path)


def test_defaults_without_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "DEFAULT_CONFIG", str(tmp_path / "absent.toml"))
    found = settings.load({}, {})
    assert found == settings.Settings()
    assert found.ring_size == 8 << 20
    assert found.run_dir == "/run/netio"


def test_option_wins_over_environment_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'run_dir = "/file"\nmax_pids = 7\nring_size = "64K"\nverbose = true\n')
    environ = {"NETIO_RUN_DIR": "/environ"}
    found = settings.load({}, environ, path)
    assert (found.run_dir, found.max_pids, found.ring_size) == ("/environ", 7, 65536)
    assert found.verbose
    options = {"run_dir": "option", "max_pids": "8", "ring_size": "4096", "verbose": None}
    found = settings.load(options, environ, path)
    assert found.run_dir == str(Path.cwd() / "option")
    assert (found.max_pids, found.ring_size, found.verbose) == (8, 4096, True)


def test_netlink_is_off_unless_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "netlink = true\n")
    assert not settings.load({}, {}, "/dev/null").netlink
    assert settings.load({"netlink": None}, {}, path).netlink
    assert settings.load({"netlink": True}, {}, "/dev/null").netlink


def test_every_key_can_stand_in_a_file() -> None:
    assert set(settings.KEYS) == set(settings._PARSERS)


def test_the_shipped_file_names_only_keys_with_their_defaults(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "systemd" / "netiod.toml"
    lines = [line[1:] for line in shipped.read_text().splitlines() if line[1:2].isalpha()]
    path = write(tmp_path, "\n".join(lines))
    assert settings.load({}, {}, path) == settings.Settings()


def test_backends_are_those_that_there_are() -> None:
    assert tuple(b.name for b in backends.BACKENDS) == settings.BACKENDS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rings = 1", "unknown key 'rings'"),
        ("max_pids = true", "max_pids: True is not an integer"),
        ('max_pids = "7"', "max_pids: '7' is not an integer"),
        ("max_pids = 0", "max_pids: 0 is not an integer from 1 to"),
        ("verbose = 1", "verbose: 1 is neither true nor false"),
        ('netlink = "yes"', "netlink: 'yes' is neither true nor false"),
        ("run_dir = 5", "run_dir: 5 is not a name"),
        ('group = ""', "group: '' is not a name"),
        ('backend = "magic"', "backend: 'magic' is not a back-end; there are auto, tracepoint"),
        ("ring_size = 5000", "ring_size: 5000 is not a power of two"),
        ("[table]", "unknown key 'table'"),
        ("ring_size = ", "not a TOML file"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        settings.load({}, {}, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a TOML file"):
        settings.load({}, {}, str(tmp_path / "bytes"))
    with pytest.raises(ConfigError, match="No such file"):
        settings.load({}, {}, str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        settings.load({}, {}, str(tmp_path))


@pytest.mark.parametrize("text", ["4095", "4097", "2048", "8X", "-4096", "", "1.5M", "2G", "٤٠٩٦"])
def test_wrong_ring_sizes(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--ring-size: "):
        settings.load({"ring_size": text}, {})


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("4k", 4096), ("16M", 16 << 20), ("1G", 1 << 30)]
)
def test_ring_sizes(text: str, size: int) -> None:
    assert settings.load({"ring_size": text}, {}).ring_size == size


@pytest.mark.parametrize("text", ["0", "-1", "x", "99999999999", "1e3"])
def test_wrong_counts(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--max-connections: "):
        settings.load({"max_connections": text}, {})
