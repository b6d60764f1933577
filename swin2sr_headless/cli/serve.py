"""swin2sr serve: pictures over HTTP."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

from .arguments import Commands, Parser, add_command
from .output import Console, Outcome
from .serve_options import EXAMPLES, add_options
from .stopping import StopSwitch
from .threads import threads_each

if TYPE_CHECKING:
    from ..service.settings import Settings

_MODULES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options, with what the environment says as their defaults."""
    add_options(add_command(commands, "serve", run, "upscale pictures over HTTP", EXAMPLES))


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Serve until a signal comes. Prints the address once it listens."""
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"the service needs {', '.join(missing)}; install it with pip install 'swin2sr[serve]'"
        )
    from ..service.server import bound, serve

    settings = settings_of(args)
    with bound(args.host, args.port) as listening:
        serve(settings, listening, console.show)
    return Outcome(0, None)


def settings_of(args: argparse.Namespace) -> Settings:
    """Raises InputError for what must not be served, or cannot."""
    from ..service.admission import Limits
    from ..service.settings import Settings
    from ..service.uploads import Reading

    devices = args.device * args.workers if len(args.device) == 1 else args.device
    fixed = [f"--max-pixels={args.max_pixels}", f"--max-frames={args.max_frames}"]
    if args.max_memory is not None:
        fixed.append(f"--max-memory={args.max_memory}")
    fields = {"max_input_side": str(args.max_input_side)}
    if args.tile:
        fields |= {"strategy": "tiled", "tile": str(args.tile)}
    elif args.strategy != "auto":
        fields["strategy"] = args.strategy
    spool = args.spool or Path(tempfile.gettempdir()) / f"swin2sr-serve-{_user()}"
    settings = Settings(
        host=args.host,
        port=args.port,
        sources=_sources(args.model),
        devices=tuple(devices),
        precision=args.precision,
        threads=threads_each(len(devices)),
        ray=args.ray,
        spare=args.spare,
        max_memory=args.max_memory,
        spool=Path(spool).expanduser().absolute(),
        keep=args.keep,
        quota=args.spool_quota or 0,
        drain=args.drain,
        fixed=tuple(fixed),
        fields=fields,
        limits=Limits(args.max_queue, args.max_wait),
        reading=Reading(args.max_upload, args.upload_idle, args.upload_time),
        api_keys=args.api_keys,
        key_rate=args.key_rate,
        key_bytes=args.key_bytes or 0,
        webhook_allow=tuple(args.webhook_allow),
        webhook_secret=_webhook_secret(args),
        compat=args.compat,
        log_level=args.log_level,
        cors=tuple(args.cors),
        allowed_hosts=tuple(args.allowed_host),
        local_assets=args.local_assets,
    )
    if not settings.loopback and settings.api_keys is None and not args.no_auth:
        raise InputError(
            f"on {args.host} others can reach this server; give --api-keys FILE, or --no-auth "
            "where something else keeps them out"
        )
    return settings


def _sources(names: Sequence[str]) -> dict[str, str]:
    """What is loaded by its name: a catalog's, or a file's without its folder and suffix.

    Raises ModelNotFoundError, and InputError where two have one name.
    """
    from swin2sr_core.models.catalog import resolve_model

    sources: dict[str, str] = {}
    for name in names:
        path = resolve_model(name)
        shown, source = (path.stem, str(path.absolute())) if Path(name).suffix else (name, name)
        if sources.setdefault(shown, source) != source:
            raise InputError(f"two models are called {shown}; rename one of the files")
    return sources


def _webhook_secret(args: argparse.Namespace) -> bytes:
    from ..service.webhooks import read_secret

    if args.webhook_allow and args.webhook_secret is None:
        raise InputError("--webhook-allow needs --webhook-secret FILE, with which they are signed")
    return b"" if args.webhook_secret is None else read_secret(args.webhook_secret)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
