"""The `swin2sr` command: one parser, one file per sub-command, and one way out for every error."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from swin2sr_core import __version__

from ..failures import debugging
from . import batch as batch_command
from . import bench as bench_command
from . import convert as convert_command
from . import doctor as doctor_command
from . import evaluate as evaluate_command
from . import export as export_command
from . import faces as faces_command
from . import models as models_command
from . import plan as plan_command
from . import quantize as quantize_command
from . import report as report_command
from . import run as run_command
from . import serve as serve_command
from . import upscale as upscale_command
from .arguments import JSON_LINES, Parser, parsed, with_json_lines
from .failures import keep_for_report, outcome_of, report
from .output import PROGRAM, Console, Outcome
from .serve_options import environment_words
from .stopping import StopSwitch
from .threads import wait_asleep

_DESCRIPTION = """\
Enlarge pictures four times with Swin2SR: without seams, within the memory you give it."""
_EPILOG = """\
`swin2sr COMMAND --help` tells more about each.

exit codes: 0 done; 1 failed while running; 2 bad arguments or input;
            3 could not start (no such model or device); 124 out of time (run);
            130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (sys.argv by default) and return its exit code; nothing is raised.

    With --json exactly one JSON object goes to standard output, errors included; with --json lines
    one for each picture.
    """
    arguments = with_json_lines(sys.argv[1:] if argv is None else list(argv))
    # Looked for by hand: mistakes in the arguments are told as JSON, too.
    json, lines = "--json" in arguments, JSON_LINES in arguments
    console = Console(json=json, lines=lines, words=arguments)
    stop = StopSwitch()
    wait_asleep()
    with console.warnings_shown(), warnings.catch_warnings():
        if not debugging():
            warnings.simplefilter("ignore")  # of libraries: they are meant for their callers
        with stop.installed():
            outcome = _run(arguments, console, stop)
            keep_for_report(outcome, console)
        if outcome.document is not None:
            console.finish(outcome.document)
    return outcome.exit_code


def build_parser() -> Parser:
    """The parser of the whole command line."""
    import argparse

    parser = Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        upscale_command,
        batch_command,
        plan_command,
        evaluate_command,
        faces_command,
        models_command,
        quantize_command,
        export_command,
        run_command,
        serve_command,
        convert_command,
        bench_command,
        doctor_command,
        report_command,
    ):
        module.register(commands)
    return parser


def _run(arguments: Sequence[str], console: Console, stop: StopSwitch) -> Outcome:
    try:
        if arguments[:1] == ["serve"]:
            arguments = ["serve", *environment_words(os.environ), *arguments[1:]]
        args = parsed(build_parser(), arguments)
        console.progress = getattr(args, "progress", False)
        return args.run(args, console, stop)
    except SystemExit as end:  # --help and --version
        return Outcome(end.code if isinstance(end.code, int) else 0, None)
    except BaseException as error:
        return outcome_of(report(error, console), console, arguments[0] if arguments else "")
