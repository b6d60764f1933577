"""swin2sr models: which checkpoints there are, and how they get here."""

from __future__ import annotations

import argparse

from swin2sr_core.models.catalog import (
    CatalogEntry,
    ModelRow,
    Verification,
    find_entry,
    list_models,
    models_dir,
    resolve_model,
    verify,
)

from .arguments import Command, Commands, Parser, add_command, add_json
from .output import Console, Outcome, table
from .stopping import StopSwitch

_EXAMPLES = """\
  swin2sr models list
  swin2sr models download classical-x4
  swin2sr models verify                   all that are here"""

_VERDICTS = {
    "ok": "whole and unchanged",
    "missing": "not here",
    "damaged": "DAMAGED: delete it and download it again",
    "unknown-hash": "nobody has published a checksum to compare it with",
}


def register(commands: Commands[Parser]) -> None:
    """Add the command and its three actions."""
    parser = add_command(commands, "models", None, "list, download, verify models", _EXAMPLES)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_action(actions, "list", run_list, "show the known models and which of them are here")
    download = _add_action(
        actions, "download", run_download, "fetch one and check that it is whole"
    )
    download.add_argument("name", metavar="NAME", help="as `swin2sr models list` shows it")
    download.add_argument(
        "--progress", action="store_true", help="show the bar even off a terminal"
    )
    check = _add_action(actions, "verify", run_verify, "compare what is here with its checksums")
    check.add_argument("name", metavar="NAME", nargs="?", help="one model (default: all)")


def _add_action(actions: Commands[Parser], name: str, run: Command, summary: str) -> Parser:
    parser = actions.add_parser(
        name, help=summary, description=f"{summary.capitalize()}.", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    add_json(parser)
    return parser


def run_list(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """A table of the catalog."""
    rows = list_models()
    console.show(table([("name", "scale", "size", "here", "licence", "for"), *map(_cells, rows)]))
    console.show(f"\ndownloaded models are kept in {models_dir()}")
    document: dict[str, object] = {"folder": str(models_dir()), "models": [*map(_row, rows)]}
    return Outcome(0, {"status": "ok"} | document)


def run_download(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """One model, resumed where an earlier download broke off."""
    from swin2sr_core.models.download import download

    entry = find_entry(args.name)
    with console.bar(entry.name, _size(entry), of_bytes=True) as bar, stop.polled():
        path = download(entry, progress=bar.to, should_stop=stop)
    size = path.stat().st_size
    console.show(f"{entry.name}: {path} ({_megabytes(size)})")
    return Outcome(0, {"status": "ok", "name": entry.name, "path": str(path), "bytes": size})


def run_verify(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Exit code 1 where a file is damaged; a model that is asked for by name has to be here."""
    entries = [row.entry for row in list_models()]
    if args.name is not None:
        entries = [find_entry(args.name)]
        resolve_model(entries[0].name)
    found = []
    for entry in entries:
        found.append(result := verify(entry))
        console.show(f"{entry.name}: {_VERDICTS[result.status]}")
    damaged = [each.entry.name for each in found if each.status == "damaged"]
    document: dict[str, object] = {"models": [*map(_verification, found)]}
    if not damaged:
        return Outcome(0, {"status": "ok"} | document)
    sentence = f"{', '.join(damaged)}: the file is damaged; delete it and download it again"
    console.error(sentence)
    failed: dict[str, object] = {"status": "error", "error": sentence, "exit_code": 1}
    return Outcome(1, failed | document)


def _size(entry: CatalogEntry) -> int | None:
    return entry.size or entry.rough_size


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


def _cells(row: ModelRow) -> tuple[str, ...]:
    entry = row.entry
    size = row.bytes or _size(entry)
    scale = f"x{entry.scale}" if entry.kind == "upscaler" else "-"
    here = "yes" if row.path else "no"
    known = _megabytes(size) if size else "unknown"
    return entry.name, scale, known, here, entry.licence, entry.purpose


def _row(row: ModelRow) -> dict[str, object]:
    entry = row.entry
    return {
        "name": entry.name,
        "kind": entry.kind,
        "scale": entry.scale,
        "bytes": row.bytes or _size(entry),
        "here": row.path is not None,
        "path": None if row.path is None else str(row.path),
        "licence": entry.licence,
        "purpose": entry.purpose,
    }


def _verification(result: Verification) -> dict[str, object]:
    return {
        "name": result.entry.name,
        "status": result.status,
        "path": None if result.path is None else str(result.path),
        "bytes": result.size,
        "sha256": result.sha256,
        "expected_sha256": result.expected,
    }
