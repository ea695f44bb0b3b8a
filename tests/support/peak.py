"""The most memory a process ever had."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_kib() -> int:
    """Return the most memory this process ever had, in KiB.

    On Linux from its own status: what `getrusage` says begins with what the parent had when it
    started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
