"""How much of a file is only in memory: what a power cut would take."""

import ctypes
import os
from pathlib import Path

import pytest

_CACHESTAT = 451  # the same number on every architecture, since Linux 6.5


class _Range(ctypes.Structure):
    _fields_ = (("off", ctypes.c_uint64), ("len", ctypes.c_uint64))


class _Stat(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("cache", "dirty", "writeback", "evicted", "recently_evicted")
    )


def dirty_pages(path: Path) -> int:
    """Pages that are not on the disk yet, by cachestat(2); skips the test on an older kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    whole, stat = _Range(0, 0), _Stat()
    handle = os.open(path, os.O_RDONLY)
    try:
        answer = libc.syscall(_CACHESTAT, handle, ctypes.byref(whole), ctypes.byref(stat), 0)
    finally:
        os.close(handle)
    if answer != 0:
        pytest.skip("needs Linux 6.5: an older kernel does not tell what is only in memory")
    return int(stat.dirty) + int(stat.writeback)
