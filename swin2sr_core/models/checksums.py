"""sha256 of files, and `checksums.json`: the record of those that nobody has published."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError, Interrupted
from ..temporary import replacing

RECORD_NAME = "checksums.json"
_BLOCK = 1 << 20


def sha256_of(path: Path, should_stop: Callable[[], bool] | None = None) -> str:
    """The sha256 of a file's bytes, in lower-case hex. Raises Interrupted if `should_stop()`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if should_stop and should_stop():
                raise Interrupted(f"stopped while checking {path.name}")
    return digest.hexdigest()


def recorded_sha256(path: Path) -> str | None:
    """What `checksums.json` beside a file says of it; None where it says nothing.

    Raises InputError where the record cannot be read.
    """
    return _read(path.parent / RECORD_NAME).get(path.name)


def record_sha256(path: Path, sha256: str) -> None:
    """Adds a file's sha256 to `checksums.json` beside it, whole or not at all."""
    from .lock import held  # here: listing models need not wait for a library of locks

    record = path.parent / RECORD_NAME
    with held(path.parent / f".{RECORD_NAME}.lock", lambda: time.sleep(0.02)):
        known = {**_read(record), path.name: sha256}
        with replacing(record) as file:
            file.write(json.dumps(known, indent=2, sort_keys=True).encode())


def _read(record: Path) -> dict[str, str]:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError.saying(
            "record_broken",
            "{record} is not JSON ({error}): delete or repair it",
            record=record,
            error=error,
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise InputError.saying(
            "record_shape",
            "{record} should map file names to sha256 sums: delete or repair it",
            record=record,
        )
    return content
