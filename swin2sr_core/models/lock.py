"""A lock between processes and threads, held on a file; the system lets go of it if we die."""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
# Since 3.21 filelock notices when a file that it has just locked is no longer the one of that name.
# Before, two could hold the lock where its last holder had removed the file: there it stays.
_MAY_REMOVE = tuple(map(int, filelock.__version__.split(".")[:2])) > (3, 21)


@contextmanager
def held(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock `path` for the block; while another holds it, calls `wait` again and again.

    `wait` sleeps a little and may raise to give up. The folder must exist.
    """
    if path.is_symlink():
        path.unlink()  # older versions of filelock would empty what it leads to
    lock = filelock.FileLock(path)
    _acquire(lock, wait)
    try:
        yield
    finally:
        if _MAY_REMOVE:
            with suppress(OSError):  # an open file cannot be removed on Windows; filelock does it
                path.unlink()
        lock.release()


def _acquire(lock: filelock.BaseFileLock, wait: Callable[[], None]) -> None:
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except filelock.Timeout:
            pass
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            logger.warning("this file system has no locks (%s): going on without one", error)
            return
        wait()
