"""swin2sr faces: where the faces in a picture are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError, OutputExistsError

from .arguments import Commands, Parser, add_command, add_json, number, whole_number
from .output import Console, Outcome, table
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.faces import Face, Skipped
    from swin2sr_core.pictures.frame import Frame

_EXAMPLES = """\
  swin2sr faces group.jpg                        a list of boxes
  swin2sr faces group.jpg --json                 with eyes, nose and mouth, for programs
  swin2sr faces group.jpg --preview boxes.png    a picture with the boxes drawn in
  swin2sr upscale group.jpg --faces              enlarge, with better faces"""

_POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(commands, "faces", run, "find the faces in a picture", _EXAMPLES)
    parser.add_argument("input", metavar="IN", help="a picture; of an animation, its first frame")
    parser.add_argument(
        "--score",
        type=number(lambda value: 0 <= value <= 1, "a number from 0 to 1"),
        default=0.7,
        metavar="N",
        help="confidence threshold, 0 to 1 (default: 0.7)",
    )
    parser.add_argument(
        "--min-face",
        type=whole_number(0, 1 << 16),
        default=16,
        metavar="N",
        help="leave out faces whose longer side has fewer pixels (default: 16)",
    )
    parser.add_argument(
        "--max-faces",
        type=whole_number(0, 100_000),
        default=0,
        metavar="N",
        help="the most faces, largest first (default: 0, all)",
    )
    parser.add_argument(
        "--preview", metavar="OUT", help="also write a picture with boxes, up to 1024 pixels long"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a preview that exists (default: refuse)"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Look for faces in one picture, and tell where they are."""
    from swin2sr_core.faces import load_detector, select_faces
    from swin2sr_core.faces.face import NEARLY
    from swin2sr_core.pictures import open_picture

    preview = None if args.preview is None else Path(args.preview).expanduser()
    _check_preview(preview, args.overwrite)
    detector = load_detector()
    with open_picture(Path(args.input).expanduser()) as picture:
        frame = next(iter(picture.frames()))
    width, height = frame.size
    found = [f for f in detector.detect(frame.color) if f.score >= args.score - NEARLY]
    faces, skipped = select_faces(found, height, width, args.min_face, args.max_faces, args.score)
    _tell(console, faces)
    if preview is not None:
        _draw(frame, faces, skipped, preview, args.overwrite)
        console.show(f"{preview}: boxes drawn")
    document: dict[str, object] = {
        "status": "ok",
        "input": args.input,
        "size": [width, height],
        "count": len(faces),
        "faces": [_described(face) for face in faces],
        "skipped": [_described(each.face) | {"reason": each.reason} for each in skipped],
        "preview": None if preview is None else str(preview),
    }
    return Outcome(0, document)


def _check_preview(path: Path | None, overwrite: bool) -> None:
    """Before anything is computed."""
    if path is None:
        return
    from swin2sr_core.pictures.files.encoders import format_of

    format_of(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"the output {path} exists already; allow it with --overwrite, or choose another name"
        )
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the preview; make it first")


def _tell(console: Console, faces: list[Face]) -> None:
    if not faces:
        console.show("no faces")
        return
    rows = [
        (
            *(f"{v:.0f}" for v in (face.x0, face.y0, face.width, face.height)),
            f"{face.score:.2f}",
        )
        for face in faces
    ]
    console.show(table([("x", "y", "width", "height", "score"), *rows]))


def _described(face: Face) -> dict[str, object]:
    """Pixels of the picture, from its top left."""
    box = {"x": face.x0, "y": face.y0, "width": face.width, "height": face.height}
    numbers = {name: round(value, 2) for name, value in box.items()}
    landmarks = {
        name: [round(x, 2), round(y, 2)]
        for name, (x, y) in zip(_POINTS, face.landmarks, strict=False)
    }
    return {**numbers, "score": round(face.score, 4), "landmarks": landmarks}


def _draw(
    frame: Frame, faces: list[Face], skipped: list[Skipped], path: Path, overwrite: bool
) -> None:
    from swin2sr_core.faces import draw_faces, plan_regions
    from swin2sr_core.pictures.files.encoders import save_picture
    from swin2sr_core.pictures.files.metadata import Metadata
    from swin2sr_core.pictures.frame import Frame as NewFrame
    from swin2sr_core.pictures.frame import over_white

    width, height = frame.size
    drawn = draw_faces(over_white(frame).color, plan_regions(faces, height, width), skipped)
    save_picture(path, [NewFrame(drawn)], Metadata(), overwrite=overwrite)
