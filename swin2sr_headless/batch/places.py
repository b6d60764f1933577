"""Where pictures come from and go to: this machine's disks, and whatever fsspec reaches."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from swin2sr_core.errors import InputError

State = Mapping[str, object]
"""What changes when a file does: its size, and when it was changed or its tag."""


class Place(Protocol):
    """Files by their names, as a user writes them. All methods may block; all raise OSError."""

    def state(self, name: str) -> State | None:
        """None where there is no such file."""
        ...

    def fetch(self, name: str, folder: Path) -> Path:
        """A local file with the content: its own one, or a copy in `folder`."""
        ...

    def draft(self, name: str, folder: Path) -> Path:
        """Where a worker is to write what becomes `name`."""
        ...

    def keep(self, draft: Path, name: str) -> State:
        """Have the draft lie whole under its name."""
        ...


class Disk:
    """Folders of this machine: workers read and write in place."""

    def state(self, name: str) -> State | None:
        try:
            stat = Path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return {"size": stat.st_size, "modified": stat.st_mtime_ns}

    def fetch(self, name: str, folder: Path) -> Path:
        return Path(name)

    def draft(self, name: str, folder: Path) -> Path:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        return Path(name)

    def keep(self, draft: Path, name: str) -> State:
        return self.state(name) or {}


class Remote:
    """A file system of fsspec's; pictures pass through a folder of this machine."""

    def __init__(self, system: Any) -> None:
        self.system = system

    def state(self, name: str) -> State | None:
        try:
            return state_of(self.system.info(name))
        except FileNotFoundError:
            return None

    def fetch(self, name: str, folder: Path) -> Path:
        path = folder / PurePosixPath(name).name
        self.system.get_file(self.system._strip_protocol(name), str(path))
        return path

    def draft(self, name: str, folder: Path) -> Path:
        return folder / f"made{PurePosixPath(name).suffix}"

    def keep(self, draft: Path, name: str) -> State:
        """Object stores show a file when it is whole; elsewhere it gets its name at the end."""
        path = self.system._strip_protocol(name)
        if is_object_store(self.system):
            self.system.put_file(str(draft), path)
        else:
            make_folder(self.system, self.system._parent(path))
            begun = f"{self.system._parent(path)}/.swin2sr-{secrets.token_hex(8)}.tmp"
            self.system.put_file(str(draft), begun)
            self.system.mv(begun, path)
        draft.unlink(missing_ok=True)
        return {"size": self.system.size(path)}


def is_remote(name: str) -> bool:
    """Whether a name is an address of fsspec's, as s3://bucket/folder."""
    return "://" in name


def place_of(name: str) -> Place:
    """Raises InputError where its protocol is unknown or needs a package."""
    if not is_remote(name):
        return Disk()
    if find_spec("fsspec") is None:
        raise InputError(
            f"{name} needs fsspec; install it with pip install 'swin2sr[batch]', and s3fs for s3://"
        )
    from fsspec.core import url_to_fs

    try:
        return Remote(url_to_fs(name, use_listings_cache=False)[0])
    except (ImportError, ValueError) as error:
        raise InputError(f"{name}: {error}") from error


def state_of(info: Mapping[str, Any]) -> State:
    """Of what a listing of fsspec's says about a file."""
    state: dict[str, object] = {"size": info.get("size")}
    for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified"):
        if info.get(key) is not None:
            return {**state, "version": str(info[key])}
    return state


def is_object_store(system: Any) -> bool:
    protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    return protocol in ("s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "memory")


def make_folder(system: Any, path: str) -> None:
    """Object stores have none to be made."""
    if not is_object_store(system):
        system.makedirs(path, exist_ok=True)
