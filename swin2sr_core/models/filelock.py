"""A lock between processes and threads, held on a file; the system lets go of it if we die."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


@contextmanager
def held(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock `path` for the block; while another holds it, calls `wait` again and again.

    `wait` sleeps a little and may raise to give up. The folder must exist.
    """
    descriptor = _acquire(path, wait)
    try:
        yield
    finally:
        _release(path, descriptor)


def _acquire(path: Path, wait: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        ours = False
        try:
            # Its last holder may have removed the file between our opening and our locking it;
            # then others lock another file of that name, and ours keeps nobody out.
            ours = _try_lock(descriptor) and _is_still(path, descriptor)
        finally:
            if not ours:
                os.close(descriptor)
        if ours:
            return descriptor
        wait()


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            return False
        return True

    def _release(path: Path, descriptor: int) -> None:
        # An open file cannot be removed here, and a closed one may be another's already: it stays.
        os.close(descriptor)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            logger.warning("this file system has no locks (%s): going on without one", error)
        return True

    def _release(path: Path, descriptor: int) -> None:
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)
