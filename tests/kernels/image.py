"""What QEMU boots: the kernel as an ELF file, and an initramfs of busybox, modules and init.sh."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

from tests.kernels.errors import KernelsError

INIT = Path(__file__).with_name("init.sh")
_BOOT = Path(__file__).with_name("boot.sh")
_NEEDED = ("virtio_pci", "virtio_console", "overlay", "9p", "9pnet_virtio")
#: What else the tests use. A guest has no modprobe for its kernel's modules, and some of these are
#: looked up by names that are no module's; what a kernel has built in or lacks is left out.
_WANTED = (
    *("cryptomgr", "aes_generic", "gcm", "ctr", "ghash_generic", "seqiv", "crc32c_generic", "tls"),
    *("sctp", "vsock", "vsock_loopback", "vsock_diag"),
    *("inet_diag", "tcp_diag", "udp_diag", "unix_diag", "veth", "dummy"),
)
_DECOMPRESSORS = {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def extract_vmlinux(vmlinuz: Path, target: Path) -> None:
    """The ELF kernel inside a bzImage: QEMU enters it directly (PVH).

    The guest's own decompressor would take longer than all the rest of the boot.
    """
    data = vmlinuz.read_bytes()
    # struct setup_header: setup_sects, payload_offset, payload_length
    begin = (data[0x1F1] + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    size = int.from_bytes(data[0x24C:0x250], "little")
    elf = _decompressed(data[begin : begin + size], vmlinuz)
    if elf[:4] != b"\x7fELF":
        raise KernelsError(f"{vmlinuz} holds no ELF kernel")
    target.write_bytes(elf)


def write_initramfs(modules: Path, target: Path, init: Path = INIT) -> None:
    """An initramfs for the kernel whose modules are below `modules`; `init` is what it runs."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise KernelsError("busybox is missing: install busybox-static")
    loaded = _load_order(modules)
    entries = [(name, 0o40755, b"") for name in ("bin", "modules", "dev", "proc", "sys")]
    entries += [
        ("bin/busybox", 0o100755, Path(busybox).read_bytes()),
        ("init", 0o100755, init.read_bytes()),
        ("boot.sh", 0o100644, _BOOT.read_bytes()),
        ("modules/list", 0o100644, "".join(f"{name}\n" for name in loaded).encode()),
    ]
    entries += [(f"modules/{name}", 0o100644, data) for name, data in loaded.items()]
    target.write_bytes(_cpio(entries))


def _decompressed(data: bytes, what: Path) -> bytes:
    kind = next((name for magic, name in _DECOMPRESSORS.items() if data.startswith(magic)), "")
    if kind == "xz":
        # The length of the kernel follows its compressed form.
        return lzma.LZMADecompressor().decompress(data)
    if kind == "zstd":
        done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
        # zstd complains about the length that follows, after it has written everything.
        return done.stdout
    raise KernelsError(f"{what}: compressed in a way that is not known here")


def _load_order(top: Path) -> dict[str, bytes]:
    """Contents of the modules by name, each after those that it depends on."""
    found = {}
    for path in top.rglob("*.ko*"):
        name, _, _ = path.name.partition(".ko")
        found[name.replace("-", "_")] = path
    loaded: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in loaded or name not in found:
            return  # there already, built in, or not in this kernel
        data = found[name].read_bytes()
        if found[name].suffix != ".ko":
            data = _decompressed(data, found[name])
        # .modinfo is a list of NAME=VALUE that end in \0.
        for value in re.findall(rb"\0depends=([^\0]+)", b"\0" + data):
            for other in value.decode().split(","):
                add(other)
        for value in re.findall(rb"\0softdep=pre: ([^\0]*)", b"\0" + data):
            for word in value.decode().split():
                other = word.replace("-", "_")
                # crypto modules name an algorithm where they mean whatever implements it.
                add(other if other in found else f"{other}_generic")
        loaded[name] = data

    missing = [name for name in ("9p", "overlay") if name not in found]
    if missing:
        raise KernelsError(f"{top} lacks the modules {', '.join(missing)}")
    for name in (*_NEEDED, *_WANTED):
        add(name)
    return loaded


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """An archive in cpio's "newc" format: (path, mode, contents)."""
    out = bytearray()
    for inode, (path, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)
