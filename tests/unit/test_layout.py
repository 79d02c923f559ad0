"""The parser of event.h against the C compiler, and against what it has to refuse."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netioctl.wire import layout
from netioctl.wire.errors import LayoutError

_TYPEDEFS = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef int32_t s32; typedef int64_t s64;
"""


def test_the_c_compiler_agrees(tmp_path: Path) -> None:
    known = layout.load()
    lines = []
    for record in known.structs.values():
        name = record.name
        lines.append(
            f'printf("{name} %zu %zu\\n", sizeof(struct {name}), _Alignof(struct {name}));'
        )
        lines += [
            f'printf("{name}.{f.name} %zu %zu\\n", offsetof(struct {name}, {f.name}), '
            f"sizeof(((struct {name} *)0)->{f.name}));"
            for f in record.fields
        ]
    lines += [f'printf("{name} %ld\\n", (long){name});' for name in known.constants]
    source = tmp_path / "layout.c"
    source.write_text(
        f'{_TYPEDEFS}\n#include "{layout.event_h()}"\nint main(void)\n{{\n'
        + "\n".join(lines)
        + "\nreturn 0;\n}\n"
    )
    program = tmp_path / "layout"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    expected = []
    for record in known.structs.values():
        expected.append(f"{record.name} {record.size} {record.align}")
        expected += [f"{record.name}.{f.name} {f.offset} {f.size}" for f in record.fields]
    expected += [f"{name} {value}" for name, value in known.constants.items()]
    assert said.splitlines() == expected


def test_a_record_survives_packing() -> None:
    event = layout.load().structs["event"]
    data = event.pack(time=1 << 40, tgid=7, conn=3, dir=1)
    assert len(data) == event.size
    assert event.unpack(data)["time"] == 1 << 40
    assert event.unpack(data)["bytes"] == 0
    assert layout.load().names("DIR") == {0: "send", 1: "recv"}


def test_numpy_agrees() -> None:
    numpy = pytest.importorskip("numpy")
    for record in layout.load().structs.values():
        kind = layout.dtype(record)
        assert kind.itemsize == record.size
        for field in record.fields:
            assert kind.fields is not None
            assert kind.fields[field.name][1] == field.offset
    event = layout.load().structs["event"]
    value = numpy.frombuffer(event.pack(bytes=512), layout.dtype(event))
    assert value["bytes"][0] == 512


_GOOD = "struct a {\n\tu32 x;\t/* bytes */\n\tu32 y;\t/* ns */\n};\n"


def test_the_fingerprint_tells_layouts_apart_and_not_comments() -> None:
    base = layout.parse(_GOOD).fingerprint
    assert layout.parse(_GOOD.replace("ns", "us")).fingerprint == base
    assert layout.parse("/* new */\n\n" + _GOOD).fingerprint == base
    assert layout.parse(_GOOD.replace("u32 y", "s32 y")).fingerprint != base
    assert layout.parse(_GOOD.replace(" y;", " z;")).fingerprint != base
    assert layout.parse("#define NETIO_DIR_SEND 0\n" + _GOOD).fingerprint != base


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("struct a {\n\tu32 x;\n};\n", "comment"),
        ("struct a {\n\tint x;\t/* bytes */\n};\n", "no fixed width"),
        ("struct a {\n\tu32 x, y;\t/* bytes */\n};\n", "comment"),
        ("struct a {\n\tu32 x : 3;\t/* bytes */\n};\n", "comment"),
        ("struct a {\n\tu32 *x;\t/* bytes */\n};\n", "comment"),
        ("struct a {\n\tu8 x;\t/* bytes */\n\tu32 y;\t/* bytes */\n};\n", "padding"),
        ("struct a {\n\tu32 y;\t/* bytes */\n\tu8 x;\t/* bytes */\n};\n", "padding"),
        ("struct a {\n};\n", "empty"),
        ("struct a {\n\tu32 x;\t/* bytes */", "not closed"),
        ("struct a {\n\tstruct b x;\t/* bytes */\n};\n", "no fixed width"),
        ("union a {\n\tu32 x;\t/* bytes */\n};\n", "not a definition"),
        ("#define OTHER 1\n", "not a definition"),
        ("#define NETIO_A (1 << 3)\n", "not a definition"),
        ("#include <linux/types.h>\n", "not a definition"),
        ("typedef u32 x;\n", "not a definition"),
        ("struct a {\n\tu32 x;\t/* bytes */\n} __attribute__((packed));\n", "comment"),
    ],
)
def test_other_lines_are_refused(text: str, why: str) -> None:
    with pytest.raises(LayoutError, match=why):
        layout.parse(text)
