"""How the threads of this process wait for each other."""

from __future__ import annotations

import os
import sys

_WAITING = "OMP_WAIT_POLICY"
_OWN = (_WAITING, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says it; each of them wins."""


def wait_asleep() -> None:
    """Have OpenMP's threads sleep at barriers instead of spinning, where nothing says otherwise.

    A network is thousands of short parallel pieces, each with a barrier. A thread that spins there
    keeps a core from the thread it waits for: beside other programs that made small pictures 10 to
    30 times slower. One thread alone was as quick there and slower with cores to spare; spinning
    for 1,000 turns was as good as sleeping, for 10,000 no longer. On an idle machine the wake-ups
    cost nothing to 8 % (two CPUs). The figures are in docs/command-line.md.

    It is OpenMP's own variable (libgomp, libomp and Intel's know it), read when torch is loaded:
    afterwards nothing is changed. ComfyUI's process is never touched.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _OWN):
        os.environ[_WAITING] = "passive"


def threads_each(workers: int) -> int | None:
    """For workers that share the cores; None for one alone, and where the user has said it."""
    if workers < 2 or os.environ.get("OMP_NUM_THREADS"):
        return None
    return max(1, (os.cpu_count() or 1) // workers)
