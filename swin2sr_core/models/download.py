"""Brings a catalog entry's file into a folder: whole, checked, and only when asked to."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import DownloadError, Interrupted, ModelNotFoundError, harmless
from ..sentences import sentence
from ..transport.client import ConnectionBroken, RedirectRefused, Reply, ended_at
from .catalog import CatalogEntry, by_hand, locate, models_dir
from .checksums import RECORD_NAME, record_sha256, recorded_sha256, sha256_of
from .limits import MOST_DOWNLOAD_BYTES
from .lock import held
from .partfile import PartFile
from .transfer import POLL_SECONDS, fetch

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]

_RETRY_LATER = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE = 30.0
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True)
class _Job:
    """One download, decided before anything moves; `expected` is the sha256 it must have."""

    entry: CatalogEntry
    url: str
    target: Path
    expected: str | None
    progress: Progress
    should_stop: ShouldStop
    timeout: float
    retries: int
    backoff: float

    def check_stop(self) -> None:
        if self.should_stop():
            raise Interrupted(
                f"download of {self.entry.name} stopped; what arrived is kept, and the next one "
                "goes on from there"
            )

    def pause(self, seconds: float) -> None:
        """Sleeps, asking `should_stop` meanwhile."""
        until = time.monotonic() + seconds
        self.check_stop()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
            self.check_stop()


def download(
    entry: CatalogEntry,
    folder: Path | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    timeout: float = 30.0,
    *,
    retries: int = 4,
    backoff: float = 1.0,
) -> Path:
    """The path of the entry's file in `folder` (models_dir()), fetched if it is not there whole.

    A broken download goes on where it stopped, in this call (at most `retries` times in a row
    without a new byte, after pauses of `backoff`, twice that, ... seconds) or in a later one. The
    file gets its name only when its size and sha256 are right. Of a file whose sha256 nobody has
    published, the first download records it in `checksums.json` and logs a warning that it did.
    `progress(done, total)` is in bytes, total 0 while unknown; `timeout` is the longest silence of
    the server, in seconds. Two calls for one file wait for each other.

    Raises DownloadError (no network and what to do by hand, 404, wrong size or sha256, disk full),
    and Interrupted, which keeps what has arrived.
    """
    if entry.url is None:
        return _bundled(entry)
    scheme = urlsplit(entry.url).scheme
    if scheme not in ("http", "https"):
        raise DownloadError(f"{entry.name}: {entry.url} is {scheme}:, expected http: or https:")
    folder = models_dir() if folder is None else folder
    target = folder / entry.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        expected = entry.sha256 or recorded_sha256(target)
        job = _Job(
            entry=entry,
            url=entry.url,
            target=target,
            expected=expected,
            progress=progress or (lambda _done, _total: None),
            should_stop=should_stop or (lambda: False),
            timeout=timeout,
            retries=retries,
            backoff=backoff,
        )
        with held(folder / f".{entry.file_name}.lock", lambda: job.pause(POLL_SECONDS)):
            _run(job)
    except OSError as error:
        raise _disk_error(entry, folder, error) from error
    return target


def _bundled(entry: CatalogEntry) -> Path:
    if path := locate(entry):
        return path
    raise ModelNotFoundError.saying(
        "belongs_to_package",
        "{file_name} belongs to the package: reinstall swin2sr",
        file_name=entry.file_name,
    )


def _run(job: _Job) -> None:
    if _already_there(job):
        return
    part = PartFile(job.target, job.url)
    failures, most = 0, part.size()
    answered = False
    while True:
        try:
            _attempt(job, part)
            break
        except RedirectRefused as error:
            raise _led_away(job, error) from error
        except ConnectionBroken as error:
            answered = answered or error.connected
            # Only a new high-water mark counts as progress, so that a server that always starts
            # at zero and always breaks is given up, too.
            failures = 1 if part.size() > most else failures + 1
            most = max(most, part.size())
            if not answered or failures > job.retries:
                raise _broken(job, part, error) from error
            logger.info("%s: %s; trying again", job.entry.name, error)
        job.pause(min(job.backoff * 2 ** (failures - 1), _LONGEST_PAUSE))
    _check_and_place(job, part)


def _already_there(job: _Job) -> bool:
    if not job.target.is_file():
        return False
    size = job.target.stat().st_size
    whole = job.entry.size in (None, size) and (
        job.expected is None or sha256_of(job.target, job.should_stop) == job.expected
    )
    if whole:
        job.progress(size, size)
    else:
        logger.warning("%s is damaged: downloading it again", job.target)
    return whole


def _attempt(job: _Job, part: PartFile) -> None:
    """One request, which leaves the part whole. Raises ConnectionBroken where another may help."""
    with fetch(job.url, part.resume_headers(), job.timeout, job.check_stop) as (reply, chunks):
        _accept(job, part, reply)
        done, total = part.size(), part.total() or job.entry.size or 0
        _check_room(job, total - done)
        job.progress(done, total)
        with part.open() as file:
            most = total or MOST_DOWNLOAD_BYTES
            for chunk in chunks:
                if done + len(chunk) > most:  # a body of no told length may never end
                    file.close()
                    part.discard()
                    known = job.entry.size is not None
                    raise _wrong_size(job, done + len(chunk)) if known else _too_long(job, most)
                file.write(chunk)
                done += len(chunk)
                job.progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    if done < total:
        raise ConnectionBroken(ended_at(done, total), connected=True)


def _accept(job: _Job, part: PartFile, reply: Reply) -> None:
    """Makes the part ready for the reply's body, or raises: DownloadError where it is hopeless."""
    same = reply.total() in (None, part.total())
    continues = reply.status == 206 and reply.start() == part.size()
    complete = reply.status == 416 and reply.total() == part.size()
    if same and (continues or complete):
        return
    if reply.status in (206, 416):
        part.discard()
        raise ConnectionBroken(
            sentence("no_rest", "the server has no rest to what is here"), connected=True
        )
    if reply.status in _RETRY_LATER:
        raise ConnectionBroken(
            sentence(
                "it_answered",
                "it answered {status} {reason}",
                status=reply.status,
                reason=harmless(reply.reason, 100),
            ),
            connected=True,
        )
    if reply.status != 200:
        raise _refused(job, reply)
    if reply.headers.get("content-type", "").startswith("text/html"):
        raise DownloadError.saying(
            "download_web_page",
            "{url} answered with a web page instead of {file} (this network's log-in "
            "page?): {by_hand}",
            url=job.url,
            file=job.entry.file_name,
            by_hand=by_hand(job.entry, job.target.parent),
        )
    _check_total(job, part, reply)
    part.begin(reply.headers, reply.total())


def _check_total(job: _Job, part: PartFile, reply: Reply) -> None:
    total, size = reply.total(), job.entry.size
    if None not in (total, size) and total != size:
        part.discard()
        raise _wrong_size(job, total or 0)
    if job.expected is None and size is None and not reply.marks_its_end():
        raise DownloadError.saying(
            "download_no_length",
            "{url} does not say how long {file} is, so nobody could tell whether it "
            "arrived whole: {by_hand}",
            url=job.url,
            file=job.entry.file_name,
            by_hand=by_hand(job.entry, job.target.parent),
        )


def _check_room(job: _Job, needed: int) -> None:
    if needed > (free := shutil.disk_usage(job.target.parent).free):
        raise DownloadError.saying(
            "download_no_room",
            "disk full: {file} needs {needed:,} more bytes in {folder}, which has {free:,} free",
            file=job.entry.file_name,
            needed=needed,
            folder=job.target.parent,
            free=free,
        )


def _check_and_place(job: _Job, part: PartFile) -> None:
    size = part.size()
    if job.entry.size not in (None, size):
        part.discard()
        raise _wrong_size(job, size)
    sha256 = sha256_of(part.path, job.should_stop)
    if job.expected is None:
        # Before the file has its name: a file without a record could never be verified.
        record_sha256(job.target, sha256)
        logger.warning(
            "nobody has published a sha256 of %s; recorded the one that arrived, %s, in %s: "
            "`verify` compares with it from now on",
            job.entry.file_name,
            sha256,
            job.target.parent / RECORD_NAME,
        )
    elif sha256 != job.expected:
        part.discard()
        raise _wrong_hash(job, sha256)
    part.become(job.target)
    job.progress(size, size)


def _wrong_size(job: _Job, size: int) -> DownloadError:
    return DownloadError.saying(
        "download_other_size",
        "{url} holds {size:,} bytes, expected {expected:,}: it is not the file that "
        "this version knows as {name}; nothing was kept",
        url=job.url,
        size=size,
        expected=job.entry.size,
        name=job.entry.name,
    )


def _too_long(job: _Job, most: int) -> DownloadError:
    return DownloadError.saying(
        "download_too_long",
        "{url} sends more than the {most:,} bytes that {file} may have; it was "
        "stopped, and nothing was kept",
        url=job.url,
        most=most,
        file=job.entry.file_name,
    )


def _wrong_hash(job: _Job, sha256: str) -> DownloadError:
    source = "the catalog" if job.entry.sha256 else f"{job.target.parent / RECORD_NAME}"
    return DownloadError.saying(
        "download_other_hash",
        "{file} arrived with sha256 {sha256}, but {source} expects {expected}: it was "
        "damaged on the way or replaced at its source; it was deleted, download it "
        "again",
        file=job.entry.file_name,
        sha256=sha256,
        source=source,
        expected=job.expected,
    )


def _refused(job: _Job, reply: Reply) -> DownloadError:
    host = urlsplit(job.url).netloc
    if reply.status in (404, 410):
        what = sentence(
            "server_lacks",
            "{host} has no such file any more ({status}): {url}",
            host=host,
            status=reply.status,
            url=job.url,
        )
    else:
        what = sentence(
            "server_answered",
            "{host} answered {status} {reason} for {url}",
            host=host,
            status=reply.status,
            reason=reply.reason,
            url=job.url,
        )
    return DownloadError.saying(
        "download_refused",
        "{what}; if you have {file} from elsewhere, put it into {folder}",
        what=what,
        file=job.entry.file_name,
        folder=job.target.parent,
    )


def _led_away(job: _Job, error: RedirectRefused) -> DownloadError:
    return DownloadError.saying(
        "download_led_away",
        "{url} cannot be had: {error}; {by_hand}",
        url=job.url,
        error=error,
        by_hand=by_hand(job.entry, job.target.parent),
    )


def _broken(job: _Job, part: PartFile, error: ConnectionBroken) -> DownloadError:
    host = urlsplit(job.url).netloc
    broke, failed = sentence("broke_off", "broke off"), sentence("not_made", "could not be made")
    kept = sentence(
        "bytes_kept",
        " ({size:,} bytes are kept, the next download goes on from there)",
        size=part.size(),
    )
    return DownloadError.saying(
        "download_broken",
        "the connection to {host} {what}: {error}{kept}; without a network, {by_hand}",
        host=host,
        what=broke if error.connected else failed,
        error=error,
        kept=kept if part.size() else "",
        by_hand=by_hand(job.entry, job.target.parent),
    )


def _disk_error(entry: CatalogEntry, folder: Path, error: OSError) -> DownloadError:
    if error.errno in _DISK_FULL:
        return DownloadError.saying(
            "download_disk_full",
            "disk full: {file} does not fit into {folder}; free some space, and the next "
            "download goes on from there",
            file=entry.file_name,
            folder=folder,
        )
    return DownloadError.saying(
        "download_not_written",
        "{file} cannot be written into {folder}: {error}",
        file=entry.file_name,
        folder=folder,
        error=error,
    )
