"""swin2sr convert: workflows as the page saves them -> API format, as the page exports them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, Parser, add_command, add_json
from .output import Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from ..workflow.conversion import Conversion, Converted

_EXAMPLES = """\
  swin2sr convert upscale.json -o upscale.api.json
                                                 nodes that the embedded host has
  swin2sr convert graph.json -o graph.api.json --definitions http://127.0.0.1:8188
                                                 nodes that this server has
  swin2sr convert workflows -o api --definitions object_info.json
                                                 a folder with all that is below it
  swin2sr convert made.png -o api/ --definitions ~/ComfyUI
                                                 what made a picture; that ComfyUI is started for it

exit codes: 0 all converted; 2 some or all refused; 3 no definitions; 130 interrupted"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "convert", run, "turn saved workflows into API format", _EXAMPLES
    )
    parser.add_argument(
        "workflow", metavar="FILE|FOLDER", help="a JSON file, a PNG with a workflow, or a folder"
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help="the file to write, or the folder; inputs are never overwritten",
    )
    parser.add_argument(
        "--definitions",
        metavar="FILE|URL|DIR",
        help="who knows the nodes: a file with a ComfyUI's answer to /object_info, a server, or a "
        "checkout (default: the nodes of the embedded host)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show the progress bar even where standard error is no terminal",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Convert everything that can be; what is refused is told file by file."""
    from ..workflow.conversion import Conversion, pairs_of
    from ..workflow.definition_sources import definitions_from

    begun = time.perf_counter()
    pairs = pairs_of(Path(args.workflow).expanduser(), args.out)
    conversion = Conversion(pairs, definitions_from(args.definitions), args.overwrite)
    with console.bar(Path(args.workflow).name, len(pairs)) as bar, stop.polled():
        conversion.run(lambda done, total, name: bar.to(done, total), stop)
    return _told(conversion, console, time.perf_counter() - begun)


def _told(conversion: Conversion, console: Console, seconds: float) -> Outcome:
    from ..workflow.conversion import document_of

    refused = [each for each in conversion.done if each.target is None]
    for each in conversion.done:
        _tell(each, console)
    converted = len(conversion.done) - len(refused)
    if len(conversion.done) > 1:
        console.show(f"{converted} of {len(conversion.done)} converted, {seconds:.2f} s")
    document = document_of("refused" if refused else "done", conversion.done, seconds)
    return Outcome(2 if refused else 0, document)


def _tell(each: Converted, console: Console) -> None:
    if each.target is not None:
        console.show(f"{each.target}: {each.nodes} nodes")
    for problem in each.problems:
        console.error(f"{each.source}: {problem}")
