"""swin2sr batch: many pictures over many workers, gone on with wherever it was stopped."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core import __version__
from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_core.temporary import temporary_folder

from ..failures import INTERRUPTED
from .arguments import Commands, Parser, add_command, check_engine, choose_kernels
from .batch_options import EXAMPLES, add_options, making_words
from .output import Bar, Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from ..batch.driver import Order
    from ..batch.manifest import Manifest
    from ..batch.sources import Item
    from ..batch.tally import Tally
    from ..service.pool import Pool

_LINE_SECONDS = 60.0
"""How often a batch without a terminal says how far it is."""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    add_options(add_command(commands, "batch", run, "enlarge many pictures", EXAMPLES))


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Upscale everything that is named, a row of the manifest for each."""
    from ..batch.manifest import NAME, open_manifest
    from ..batch.places import is_remote

    choose_kernels(args)
    check_engine(args)
    _check(args)
    items = _items(args)
    name = args.manifest or (f"{args.output.rstrip('/')}/{NAME}")
    if not is_remote(name):
        name = str(Path(name).expanduser())
    with open_manifest(name) as manifest, temporary_folder() as folder, stop.held_off():
        if manifest.is_new and not args.overwrite:
            _check_absent(items, args.output)
        tally = asyncio.run(_made(args, items, manifest, Path(folder), console, stop))
    return _outcome(tally, name, console, stop)


async def _made(
    args: argparse.Namespace,
    items: list[Item],
    manifest: Manifest,
    folder: Path,
    console: Console,
    stop: StopSwitch,
) -> Tally:
    from ..batch.driver import Driver, ready
    from ..batch.tally import Tally

    pool = _pool(args)
    options = making_words(args)
    try:
        await pool.start()
        prospect = await ready(pool, args.model, stop)
        how = _how(args, prospect["precision"])
        manifest.begin(
            {
                "version": __version__,
                "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "model": args.model,
                "precision": prospect["precision"],
                "options": options,
                "how": how,
            }
        )
        with console.bar("batch", len(items)) as bar:
            tell = _teller(bar, console)
            driver = Driver(
                pool, manifest, Tally(len(items)), _order(args, options), how, folder, stop, tell
            )
            await driver.run(items)
        return driver.tally
    finally:
        await pool.stop()


def _order(args: argparse.Namespace, options: list[str]) -> Order:
    from ..batch.driver import Order

    sharing = 1 if args.ray else args.workers
    return Order(args.model, tuple(options), sharing, args.max_memory)


def _pool(args: argparse.Namespace) -> Pool:
    if args.ray is not None:
        from ..ray import ray_pool

        device, count, most = args.devices[0], args.workers, args.max_memory
        return ray_pool(args.ray, {args.model: args.model}, args.precision, device, count, most)
    from ..service.local_pool import LocalPool
    from .threads import threads_each

    devices = args.devices * args.workers if len(args.devices) == 1 else args.devices
    threads = threads_each(len(devices))
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    sources, most = {args.model: args.model}, args.max_memory
    return LocalPool(devices, sources, args.precision, environment, False, most)


def _check(args: argparse.Namespace) -> None:
    """What can be told before anything is started."""
    from swin2sr_core.models.catalog import resolve_model

    resolve_model(args.model)
    if args.provider != "auto":
        raise InputError("batch takes the provider that is there; leave --provider out")
    if len(args.devices) > 1 and (args.workers > 1 or args.ray):
        raise InputError("several devices have a worker each; leave --workers or --device out")
    if args.face_model is not None:
        args.faces = True
    if args.faces:
        from swin2sr_core.faces.detection import check_faces

        from .preparation import face_model

        check_faces(face_model(args))
        resolve_model(face_model(args))


def _items(args: argparse.Namespace) -> list[Item]:
    from ..batch.places import is_remote
    from ..batch.sources import Naming, find_sources, items_of, read_list
    from .upscale import label_of, settings_of

    names = [*args.inputs, *(read_list(args.list) if args.list else [])]
    if not names:
        raise InputError("name pictures, folders or patterns, or a --list of them")
    out = args.output if is_remote(args.output) else str(Path(args.output).expanduser().absolute())
    if any(not is_remote(name) and Path(name).absolute() == Path(out) for name in names):
        raise InputError(f"-o {args.output} is the folder of the pictures; choose another one")
    label = label_of(settings_of(args)) if args.suffix is None else args.suffix
    return items_of(find_sources(names, args.recursive, out), Naming(out, label, args.format))


def _check_absent(items: list[Item], out: str) -> None:
    """A new batch replaces nothing. Raises OutputExistsError."""
    from ..batch.places import place_of

    place = place_of(out)
    there = next((item.output for item in items if place.state(item.output)), None)
    if there is not None:
        raise OutputExistsError(
            f"the output {there} exists already and no manifest tells of it; allow it with "
            "--overwrite, or choose another -o"
        )


def _how(args: argparse.Namespace, precision: str) -> str:
    from .preparation import face_model
    from .resuming import way_of
    from .upscale import settings_of

    models = [args.model, face_model(args)] if args.faces else [args.model]
    writing = [args.bits, args.quality, False, args.strip_metadata]
    return way_of(models, precision, settings_of(args), writing)


def _teller(bar: Bar, console: Console) -> Callable[[Tally], None]:
    """The bar on a terminal; in a log a line from time to time."""
    quiet = not (console.progress or sys.stderr.isatty())
    following = [time.monotonic() + _LINE_SECONDS]

    def tell(tally: Tally) -> None:
        bar.tell(f"{tally.rate:.2f}/s" + (f", {tally.failed} failed" if tally.failed else ""))
        bar.to(tally.over)
        if quiet and time.monotonic() >= following[0]:
            following[0] += _LINE_SECONDS
            console.note(f"swin2sr: {tally.line()}")

    return tell


def _outcome(tally: Tally, manifest: str, console: Console, stop: StopSwitch) -> Outcome:
    code = INTERRUPTED if stop.requested else 1 if tally.failed or tally.ended else 0
    if tally.ended:
        console.error(tally.ended)
    if tally.failed:
        console.note(f"{tally.summary()}; {manifest} says why")
    else:
        console.show(tally.summary())
    return Outcome(
        code,
        {
            "status": "error" if code else "ok",
            **({"error": tally.ended} if tally.ended else {}),
            "exit_code": code,
            "made": tally.made,
            "skipped": tally.skipped,
            "failed": tally.failed,
            "total": tally.total,
            "seconds": round(tally.seconds, 3),
            "manifest": manifest,
        },
    )
