"""Jobs, their pictures and events in SQLite in the spool: what survives a restart."""

from __future__ import annotations

import errno
import functools
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

ENDED = ("done", "failed", "cancelled")
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, created REAL NOT NULL, ended REAL, state TEXT NOT NULL,
    fields TEXT NOT NULL, key TEXT UNIQUE, fingerprint TEXT NOT NULL,
    owner TEXT, webhook TEXT);
CREATE TABLE IF NOT EXISTS pictures (
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, number INTEGER NOT NULL,
    name TEXT NOT NULL, upload TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    state TEXT NOT NULL, result TEXT NOT NULL, report TEXT, problem TEXT,
    PRIMARY KEY (job, number));
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_job ON events (job, number);
"""


@dataclass(frozen=True)
class JobPicture:
    """One picture of a job. upload: a name in the spool; result: the number of its result."""

    number: int
    name: str
    upload: str
    sha256: str
    size: int
    state: str
    result: str
    report: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A job as it stands; times are Unix seconds. webhook: still to be told of its end."""

    id: str
    created: float
    ended: float | None
    state: str
    fields: dict[str, str]
    fingerprint: str
    pictures: tuple[JobPicture, ...]
    owner: str | None = None
    webhook: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; numbers grow."""

    number: int
    kind: str
    data: dict[str, Any]


P = ParamSpec("P")


def _telling_of_a_full_disk(write: Callable[P, None]) -> Callable[P, None]:
    """SQLite tells in words of its own that a disk is full, or (of its log) that writing failed."""

    @functools.wraps(write)
    def written(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            write(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if str(error) not in ("database or disk is full", "disk I/O error"):
                raise
            raise OSError(errno.ENOSPC, str(error)) from error

    return written


class JobStore:
    """Every call is one short transaction. What writes raises OSError where the disk is full."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._base.execute(f"PRAGMA {setting}")
        self._base.executescript(_TABLES)
        known = {row[1] for row in self._base.execute("PRAGMA table_info(jobs)")}
        for column in {"owner", "webhook"} - known:  # of a spool from before there were any
            self._base.execute(f"ALTER TABLE jobs ADD COLUMN {column} TEXT")

    def close(self) -> None:
        self._base.close()

    @_telling_of_a_full_disk
    def add(self, job: Job, key: str | None) -> None:
        with self._base:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.execute(
                "INSERT INTO jobs (id, created, state, fields, key, fingerprint, owner, webhook) "
                "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?)",
                (
                    *(job.id, job.created, json.dumps(job.fields), key, job.fingerprint),
                    *(job.owner, job.webhook),
                ),
            )
            self._base.executemany(
                "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, NULL, NULL)",
                [
                    (
                        job.id,
                        each.number,
                        each.name,
                        each.upload,
                        each.sha256,
                        each.size,
                        each.result,
                    )
                    for each in job.pictures
                ],
            )

    def job(self, number: str) -> Job | None:
        row = self._base.execute(
            "SELECT id, created, ended, state, fields, fingerprint, owner, webhook "
            "FROM jobs WHERE id = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        pictures = self._base.execute(
            "SELECT number, name, upload, sha256, size, state, result, report, problem "
            "FROM pictures WHERE job = ? ORDER BY number",
            (number,),
        )
        id_, created, ended, state, fields, print_, *others = row
        made = tuple(_picture(each) for each in pictures)
        return Job(id_, created, ended, state, json.loads(fields), print_, made, *others)

    def with_key(self, key: str) -> Job | None:
        row = self._base.execute("SELECT id FROM jobs WHERE key = ?", (key,)).fetchone()
        return None if row is None else self.job(row[0])

    def open(self) -> list[Job]:
        """Those that have not ended, the oldest first."""
        return self._jobs("ended IS NULL")

    def untold(self) -> list[Job]:
        """Those that have ended, and whose webhook has not been told."""
        return self._jobs("ended IS NOT NULL AND webhook IS NOT NULL")

    def _jobs(self, condition: str) -> list[Job]:
        rows = self._base.execute(
            f"SELECT id FROM jobs WHERE {condition} ORDER BY created"
        ).fetchall()
        return [job for row in rows if (job := self.job(row[0])) is not None]

    def held(self, owner: str) -> int:
        """Bytes of the uploads that an owner's jobs still need."""
        (size,) = self._base.execute(
            "SELECT coalesce(sum(size), 0) FROM pictures JOIN jobs ON jobs.id = pictures.job "
            "WHERE owner = ? AND pictures.state = 'queued' AND ended IS NULL",
            (owner,),
        ).fetchone()
        return size

    def files(self, before: float) -> set[str]:
        """Names of uploads and numbers of results, but of jobs that ended before this time."""
        rows = self._base.execute(
            "SELECT upload, result FROM pictures JOIN jobs ON jobs.id = pictures.job "
            "WHERE ended IS NULL OR ended >= ?",
            (before,),
        )
        return {name for row in rows for name in row}

    @_telling_of_a_full_disk
    def told(self, job: str) -> None:
        """Its webhook is not told again."""
        self._base.execute("UPDATE jobs SET webhook = NULL WHERE id = ?", (job,))

    @_telling_of_a_full_disk
    def set_state(self, job: str, state: str) -> None:
        ended = time.time() if state in ENDED else None
        self._base.execute("UPDATE jobs SET state = ?, ended = ? WHERE id = ?", (state, ended, job))

    @_telling_of_a_full_disk
    def set_picture(
        self,
        job: str,
        number: int,
        state: str,
        report: dict[str, Any] | None = None,
        problem: dict[str, Any] | None = None,
    ) -> None:
        self._base.execute(
            "UPDATE pictures SET state = ?, report = ?, problem = ? WHERE job = ? AND number = ?",
            (state, _json(report), _json(problem), job, number),
        )

    @_telling_of_a_full_disk
    def add_event(self, job: str, kind: str, data: dict[str, Any]) -> None:
        self._base.execute(
            "INSERT INTO events (job, kind, data) VALUES (?, ?, ?)", (job, kind, json.dumps(data))
        )

    def events_after(self, job: str, number: int) -> list[Event]:
        rows = self._base.execute(
            "SELECT number, kind, data FROM events WHERE job = ? AND number > ? ORDER BY number",
            (job, number),
        )
        return [Event(row[0], row[1], json.loads(row[2])) for row in rows]

    @_telling_of_a_full_disk
    def forget(self, before: float) -> None:
        """Remove jobs that ended before this time."""
        self._base.execute("DELETE FROM jobs WHERE ended < ?", (before,))


def _picture(row: tuple[Any, ...]) -> JobPicture:
    report, problem = (None if text is None else json.loads(text) for text in row[7:])
    number, name, upload, sha256, size, state, result = row[:7]
    return JobPicture(number, name, upload, sha256, size, state, result, report, problem)


def _json(document: dict[str, Any] | None) -> str | None:
    return None if document is None else json.dumps(document)
