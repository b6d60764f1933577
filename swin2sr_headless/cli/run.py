"""swin2sr run: a workflow of ComfyUI, without its page."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import harmless

from ..failures import debugging
from .arguments import JSON_LINES, Commands, UsageError, add_command, add_json
from .output import PROGRAM, Bar, Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from ..workflow.each import EachReport
    from ..workflow.hosts.host import Progress
    from ..workflow.report import Report
    from ..workflow.runner import Session

API_KEY = "COMFY_API_KEY"
"""The environment variable with the key for nodes of paid services."""

_EXAMPLES = """\
  swin2sr run upscale.json --input example.png=photo.jpg
                                                 without any ComfyUI
  swin2sr run upscale.json --set 3.scale=2 --set 3.sharpen=0.2
                                                 with other values, by node and input
  swin2sr run made_by_comfyui.png --comfyui ~/ComfyUI
                                                 what made a picture, in that ComfyUI
  swin2sr run upscale.json --server http://127.0.0.1:8188 --out results
                                                 on a running server
  swin2sr run --server https://me:secret@host --resume 3f2a-... --out results
                                                 what a run that was cut off has made there
  swin2sr run upscale.json --each holiday --out large
                                                 once per picture; goes on where it stopped

The workflow is a JSON file as ComfyUI saves or exports it, or a PNG or WebP that it has written.
With --json lines there is one JSON object per event while it runs, and the report as the last.

exit codes: 0 done; 1 a node failed; 2 refused before anything ran; 3 the host could not start or be
            reached; 124 out of time; 130 interrupted"""


def register(commands: Commands) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "run", run, "run a workflow of ComfyUI without its page", _EXAMPLES
    )
    parser.add_argument(
        "workflow",
        metavar="WORKFLOW",
        nargs="?",
        help="a JSON file, or a picture that ComfyUI has written",
    )
    _add_hosts(parser)
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE",
        dest="inputs",
        help="use FILE where the workflow reads the input NAME (as its Load Image node has it)",
    )
    parser.add_argument(
        "--input-dir",
        metavar="DIR",
        help="look there for inputs that --input does not name (default: the ComfyUI's own folder)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.FIELD=VALUE",
        dest="values",
        help="change an input; NODE is an id or a title, VALUE is JSON or text",
    )
    parser.add_argument(
        "--out", default="output", metavar="DIR", help="where outputs go (default: ./output)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="S", help="stop after S seconds (default: never)"
    )
    parser.add_argument(
        "--each",
        metavar="DIR",
        help="run once for each picture in DIR, as the input that the workflow reads; a journal in "
        "--out remembers what is done",
    )
    parser.add_argument(
        "--each-as",
        metavar="NAME",
        help="with --each: which input the pictures are, where the workflow reads several",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="with --each: take the folders below as well"
    )
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show the progress bar even where standard error is no terminal",
    )
    add_json(parser)
    parser.add_argument(
        JSON_LINES, action="store_true", dest="json_lines", help="one object per event and line"
    )


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--comfyui",
        metavar="DIR",
        help="run with the ComfyUI in DIR: a private server is started for it, and ended with it",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="run on the ComfyUI server at URL; user:password@ and ?token=... in it are sent with "
        "every request, and never printed",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar='"NAME: VALUE"',
        help="with --server: send this header with every request",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"with --server: what nodes of paid services log in with (default: ${API_KEY})",
    )
    parser.add_argument(
        "--resume",
        metavar="ID",
        help="with --server: take what comes of a prompt that is there; reports have its id",
    )
    parser.add_argument(
        "--rerun", action="store_true", help="compute everything anew, whatever an earlier run left"
    )
    parser.add_argument(
        "--models",
        metavar="DIR",
        help="without a ComfyUI: the folder with swin2sr/ and upscale_models/ (default: where "
        "`swin2sr models` keeps them)",
    )


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Run the workflow once, or once per picture."""
    inputs = dict(_pair(each, "--input", "NAME=FILE") for each in args.inputs)
    pairs = [_pair(each, "--set", "NODE.FIELD=VALUE") for each in args.values]
    _check(args)
    if args.each_as is not None and args.each is None:
        raise UsageError("--each-as says which input the pictures of --each are; give --each DIR")
    from ..workflow.document.setting import Typed
    from ..workflow.problems import HostError, WorkflowError
    from ..workflow.runner import Session, failed_start, make_host

    values = {name: Typed(text) for name, text in pairs}
    try:
        host = make_host(
            comfyui=args.comfyui,
            server=args.server,
            models=args.models,
            headers=args.header,
            api_key=_api_key(args),
        )
    except (WorkflowError, HostError) as error:
        if debugging():
            raise
        return _tell(failed_start(error), console)
    with Session(host, args.input_dir) as session:
        if args.each is not None:
            return _each(session, args, inputs, values, console, stop)
        with console.bar(Path(args.workflow or args.resume).name, 1) as bar, _told_by_report(stop):
            progress = _shown(bar, console)
            if args.resume is not None:
                report = session.resume(
                    args.resume,
                    out=args.out,
                    timeout=args.timeout,
                    should_stop=stop,
                    progress=progress,
                )
            else:
                report = session.run(
                    args.workflow,
                    inputs=inputs,
                    values=values,
                    out=args.out,
                    timeout=args.timeout,
                    should_stop=stop,
                    progress=progress,
                    rerun=args.rerun,
                    queued=lambda name: console.line({"event": "queued", "prompt_id": name}),
                )
    return _tell(report, console)


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together."""
    if not args.workflow and args.resume is None:
        raise UsageError("name a workflow, or a prompt with --resume ID")
    if args.resume is not None:
        others = (args.workflow, args.each, *args.inputs, *args.values, args.rerun or None)
        if args.server is None or any(each is not None for each in others):
            raise UsageError(
                "--resume ID takes what a server has already: give --server URL, and no workflow, "
                "input or value besides"
            )


def _api_key(args: argparse.Namespace) -> str | None:
    """What was given, else what the environment has; it is for servers alone."""
    if args.api_key is not None or args.server is None:
        return args.api_key
    return os.environ.get(API_KEY) or None


def _each(
    session: Session,
    args: argparse.Namespace,
    inputs: dict[str, str],
    values: Mapping[str, object],
    console: Console,
    stop: StopSwitch,
) -> Outcome:
    from ..workflow.each import EachJob, run_each

    job = EachJob(
        args.workflow,
        Path(args.each),
        Path(args.out),
        {name: Path(path) for name, path in inputs.items()},
        values,
        args.each_as,
        args.timeout,
        args.recursive,
    )
    label = f"{Path(args.workflow).name} for each of {args.each}"
    with console.bar(label, None) as bar, _told_by_report(stop):
        report = run_each(
            session, job, stop, lambda done, total, name: _at(bar, console, done, total, name)
        )
    return _tell_each(report, console)


@contextmanager
def _told_by_report(stop: StopSwitch) -> Iterator[None]:
    """Let Ctrl-C end the run, and the report say so."""
    with suppress(KeyboardInterrupt), stop.polled():
        yield


def _tell(report: Report, console: Console) -> Outcome:
    for error in report.errors:
        console.error(str(error))
    if report.ok:
        for node, texts in report.texts.items():
            console.show("\n".join(harmless(f"{node}: {line}") for line in texts))
        for output in report.outputs:
            console.show(f"{output.path}: {output.size:,} bytes")
        ran, cached = len(report.ran), len(report.cached)
        console.show(
            f"done in {report.seconds:.2f} s on the host {report.host}: {ran} nodes ran, "
            f"{cached} cached"
        )
    elif report.prompt_id is not None and report.status in ("no_host", "timeout"):
        console.note(f"{PROGRAM}: the server knows this run as {report.prompt_id}")
    return _outcome(report, console)


def _outcome(report: Report | EachReport, console: Console) -> Outcome:
    document = report.to_dict()
    console.line({"event": "report", **document})
    return Outcome(report.exit_code, document)


def _tell_each(report: EachReport, console: Console) -> Outcome:
    for notice in report.notices:
        console.note(f"{PROGRAM}: {notice}")
    for error in report.errors:
        console.error(str(error))
    if report.status in ("done", "failed"):
        console.show(report.summary)
    return _outcome(report, console)


def _shown(bar: Bar, console: Console) -> Progress:
    def told(label: str, done: float, total: float) -> None:
        bar.tell(f" {label}")
        bar.to(done / total if total else 0)
        node, _, class_type = label.partition(" ")
        event = {"event": "progress", "node": node, "class_type": class_type}
        console.line({**event, "done": done, "total": total})

    return told


def _at(bar: Bar, console: Console, done: int, total: int, name: str) -> None:
    console.line({"event": "picture", "picture": name, "done": done, "total": total})
    bar.tell(f" {name}")
    bar.to(done, total)


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value) or (option == "--set" and "." not in name):
        raise UsageError(f"{option} wants {form}, got {text!r}")
    return name, value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds over 0, got {text!r}")
    return value
