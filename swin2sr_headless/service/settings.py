"""What the operator decides, once, at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .admission import Limits
from .options import Defaults
from .uploads import Reading


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of one server. sources: what `load_model` takes, by the names that are told; devices: one
    worker on each; threads: of each on a CPU, None for all; ray: the address of a cluster that has
    the workers.

    fixed: options of `upscale` that no request changes; fields: what requests can, with their
    values where one says nothing. key_rate: requests of a key in a minute; key_bytes: of its
    uploads at once; 0 for no limit. keep, drain: seconds; quota: bytes, 0 for what the disk has.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    sources: Mapping[str, str] = field(default_factory=lambda: {"compact-x4": "compact-x4"})
    devices: tuple[str, ...] = ("auto",)
    precision: str = "auto"
    threads: int | None = None
    ray: str | None = None
    spare: bool = True
    max_memory: int | None = None
    spool: Path
    keep: float = 3600.0
    quota: int = 0
    drain: float = 60.0
    fixed: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    reading: Reading = field(default_factory=lambda: Reading(256 << 20))
    api_keys: Path | None = None
    key_rate: int = 0
    key_bytes: int = 0
    webhook_allow: tuple[str, ...] = ()
    webhook_secret: bytes = b""
    compat: str | None = None
    log_level: str = "info"
    cors: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    local_assets: Path | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Their names, the default first."""
        return tuple(self.sources)

    @property
    def defaults(self) -> Defaults:
        """For reading requests."""
        return Defaults(self.models, self.fields, self.fixed, self.precision)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
