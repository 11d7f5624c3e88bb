"""The check that a log lies on a file system whose locks and syncs can be trusted."""

import ctypes
import os
from pathlib import Path

from domain.errors import Misconfigured

# linux/magic.h and the file systems' own headers. overlayfs (0x794C7630) and tmpfs (0x01021994) are let through: the
# first syncs to what lies below it, the second keeps nothing over a reboot and is for tests.
_REFUSED = {
    0x6969: "NFS",
    0x65735546: "FUSE",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x517B: "SMB",
    0x01021997: "9P",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
}
_libc = ctypes.CDLL(None, use_errno=True)


def refusal(magic: int) -> str | None:
    """Return the name of the file system if logs must not lie on it, otherwise None."""
    return _REFUSED.get(magic & 0xFFFFFFFF)


def filesystem_magic(directory: Path) -> int:
    """Return ``f_type`` of statfs(2).

    Raises:
        OSError: statfs failed.
    """
    # struct statfs is 120 bytes on 64-bit Linux and starts with f_type, a long.
    buffer = (ctypes.c_long * 32)()
    if _libc.statfs(os.fsencode(directory), ctypes.byref(buffer)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(directory))
    return int(buffer[0])


def require_local(directory: Path, *, allowed: bool) -> None:
    """Refuse network and user-space file systems, whose locks and syncs depend on somebody else.

    Raises:
        Misconfigured: the directory lies on one and ``allowed`` is false.
    """
    name = refusal(filesystem_magic(directory))
    if name is not None and not allowed:
        raise Misconfigured(
            f"{directory} on a local file system (ext4, xfs, btrfs)",
            name,
            "move TBOT_HOME to a local disk, or set TBOT_ALLOW_FS=1 and accept that locks and syncs may not hold",
        )
