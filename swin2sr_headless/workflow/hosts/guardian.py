"""Run as a program: starts another one, and ends it when the process that started us is gone.

    python guardian.py FOLDER PROGRAM [ARGUMENT ...]

Whatever ends our parent, SIGKILL too, closes our standard input: then the program is ended, and
FOLDER, which was made for it, is removed. It imports nothing but the standard library, so that any
Python can run it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

_GRACE = 5.0
"""Seconds that the program has to end by itself."""


def main(folder: str, command: list[str]) -> int:
    """Run `command` until it ends or our standard input does; its exit code."""
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):  # meant for our parent, who will let us know
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    threading.Thread(target=_end_with_parent, args=(process,), daemon=True).start()
    try:
        return process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_parent(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    _end(process, signal.SIGTERM)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _end(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _end(process: subprocess.Popen[bytes], how: int) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.terminate()
        else:
            os.killpg(process.pid, how)  # with all that it has started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
