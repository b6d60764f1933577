"""The table of attacks: what strangers' files and servers cost before they are refused.

    python benchmarks/attacks.py [--only TEXT]

Each attack runs in a process of its own, whose time and peak memory are measured (peak of the
process less what it had after its imports). Nothing is copied from anywhere: the files are
made here. It ends with 1 where one took over 30 s or 1.5 GB, or ended in a traceback.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS, MOST_BYTES = 30.0, int(1.5 * 2**30)

PICTURE = "from swin2sr_core.pictures.picture import open_picture\n"
OPEN = PICTURE + "with open_picture(argument) as p: print(p.size, sum(1 for _ in p.frames()))"
LOOK = PICTURE + "with open_picture(argument) as p: print('opened', p.size, p.frame_count)"
SMALL = PICTURE + "with open_picture(argument, max_pixels=1000) as p: print(list(p.frames()))"
LIST = "from swin2sr_core.models.header import read_config\nprint(read_config(Path(argument)))"
LOAD = (
    "from swin2sr_core.models.checkpoint import load_checkpoint\n"
    "print(load_checkpoint(Path(argument))[0])"
)
RUN = (
    "from swin2sr_headless.workflow.runner import run_workflow\n"
    "report = run_workflow(argument, out=argument + '.out')\n"
    "print(report.status, *report.errors)"
)
SERVER = (
    "from swin2sr_headless.workflow.runner import run_workflow\n"
    "graph = {'1': {'class_type': 'SaveImage', 'inputs': {}}}\n"
    "report = run_workflow(graph, server=argument, out='out', timeout=TIMEOUT)\n"
    "print(report.status, *report.errors)"
)
DOWNLOAD = (
    "import hashlib, tempfile\n"
    "from swin2sr_core.models.catalog import CatalogEntry, find_entry\n"
    "from swin2sr_core.models.download import download\n"
    "from dataclasses import replace\n"
    "entry = replace(find_entry('classical-x2'), url=argument + '/w.pth', size=2000000)\n"
    "download(entry, Path(tempfile.mkdtemp(dir='.')), timeout=2, retries=1, backoff=0.1)"
)
VIDEO = (
    "from swin2sr_headless.workflow.execution.video import VideoFile\n"
    "print(VideoFile(Path(argument)).decoded().images.shape)"
)

CHILD = """
import sys, time
from pathlib import Path
def peak():  # of this program alone: what rusage tells counts the one that started it, too
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) * 1024 for each in lines if each.startswith("VmHWM"))
argument, code = sys.argv[1:]
lines = code.splitlines()
imports = [each for each in lines if each.startswith(("from", "import"))]
exec("\\n".join(imports))
from swin2sr_headless.failures import explain
begun, before = time.monotonic(), peak()
try:
    exec("\\n".join(lines[len(imports):]))
except BaseException as error:
    failure = explain(error)
    print(f"{failure.kind}: {failure.sentence}")
print(f"{time.monotonic() - begun} {peak() - before}")
"""


@dataclass(frozen=True)
class Attack:
    """make: writes the file, or serves and gives the address; how: what a victim does with it."""

    name: str
    how: str
    make: Callable[[Path], object]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(*chunks: bytes, size=(8, 8), depth=8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(size[0] * depth // 8)) * min(size[1], 8))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND")


def gif(width: int, height: int, frames: int, canvas=(4, 4)) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\0"
    return head + one * frames + b"\x3b"


def bmp(width: int, height: int, runs: bool) -> bytes:
    """Runs of a BMP end it after the first row: all else is left to the decoder."""
    body = b"\0\1" if runs else b""
    head = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8 if runs else 24, int(runs), 0, 0, 0, 0, 0
    )
    return b"BM" + struct.pack("<IHHI", 54 + 1024, 0, 0, 54 + 1024) + head + bytes(1024) + body


def jpeg(width: int, height: int, scans: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def tiled_tiff(side: int, width: int, height: int) -> bytes:
    fields = [(256, 3, side), (257, 3, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
              (322, 4, width), (323, 4, height), (324, 4, 8), (325, 4, 99)]  # fmt: skip
    body = b"".join(
        struct.pack("<HHI", tag, kind, 1)
        + struct.pack("<I" if kind == 4 else "<HH", *([value] if kind == 4 else [value, 0]))
        for tag, kind, value in fields
    )
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + body + struct.pack("<I", 0)


def archive(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/version", "3")


def bomb_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("archive/data.pkl", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(bytes(1 << 20))
        file.writestr("archive/version", "3")


def stages(path: Path) -> None:
    names = {f"layers.{n}.residual_group.blocks.0.attn.logit_scale": n for n in range(30_000)}
    archive(path, pickle.dumps(names, 2))


def many_names(path: Path) -> None:
    header = {
        f"{n:x}" * 20: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(60_000)
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def video(path: Path, side: int, frames: int) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=30)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
        for _ in range(frames):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def changing(path: Path) -> None:
    """A model file that shrinks and grows, again and again, while it is read."""
    whole = (ROOT / "swin2sr_core/models/bundled/compact_x4.safetensors").read_bytes()
    path.write_bytes(whole)

    def change() -> None:
        for _ in range(20_000):
            path.write_bytes(whole[: len(whole) // 2])
            path.write_bytes(whole)

    threading.Thread(target=change, daemon=True).start()


def serving(start: bytes, piece: bytes, pause: float = 0.0) -> Callable[[Path], str]:
    """A server that answers everything so, without end."""

    def make(_path: Path) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def answer(connection: socket.socket) -> None:
            try:
                connection.recv(65536)
                connection.sendall(start)
                while True:
                    connection.sendall(piece)
                    time.sleep(pause)
            except OSError:
                pass

        def serve() -> None:
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    return make


def writes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


OK, BAD = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 No\r\n\r\n"
IN_TIME = SERVER.replace("TIMEOUT", "3")
PATIENT = SERVER.replace("TIMEOUT", "None")
LONG = b"x" * (1 << 20)
BYTEARRAY = b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x03\x85R."


def attacks() -> list[Attack]:
    return [
        Attack("listing: data.pkl of 1 GiB in 1 MB", LIST, bomb_archive),
        Attack("loading: data.pkl of 1 GiB in 1 MB", LOAD, bomb_archive),
        Attack("pickle: bytearray(12 GiB)", LOAD, lambda p: archive(p, BYTEARRAY)),
        Attack("pickle: os.system", LOAD,
               lambda p: archive(p, b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.")),
        Attack("pickle: 30,000 stage names", LIST, stages),
        Attack("safetensors: 60,000 names", LIST, many_names),
        Attack("safetensors: a header of 2**62 bytes", LIST, writes(b"\xff" * 7 + b"\x3f" + b"{}")),
        Attack("safetensors: changes while it is read", LOAD, changing),
        Attack("model: FIFO", LOAD, lambda p: os.mkfifo(p)),
        Attack("model: /dev/zero", LOAD, lambda p: p.symlink_to("/dev/zero")),
        Attack("png: 100,000 x 100,000", OPEN, writes(png(size=(100_000, 100_000)))),
        Attack("png: two headers, --max-pixels 1000", SMALL, writes(
            png(chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
                size=(30_000, 30_000), depth=16))),
        Attack("png: texts of 4 GB", OPEN, writes(
            png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20)))] * 40))),
        Attack("png: profile of 1 GB", OPEN, writes(
            png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 30)))))),
        Attack("png: a million empty chunks", OPEN, writes(png(*[chunk(b"teSt")] * 1_000_000))),
        Attack("apng: 100,000 frames", OPEN, writes(
            png(chunk(b"acTL", struct.pack(">II", 100_000, 0))))),
        Attack("gif: 100,000 frames", OPEN, writes(gif(4, 4, 100_000))),
        Attack("gif: one frame of 9999x9999", LOOK, writes(gif(9999, 9999, 1))),
        Attack("gif: 10 frames of 9999x9999", LOOK, writes(gif(9999, 9999, 10))),
        Attack("gif: 1,000 frames of 9999x9999", LOOK, writes(gif(9999, 9999, 1000))),
        Attack("tiff: 16x16, a tile of 32768x48000", OPEN, writes(tiled_tiff(16, 32768, 48000))),
        Attack("jpeg: 2,000 scans of 9000x9000", OPEN, writes(jpeg(9000, 9000, 2000))),
        Attack("jpeg: 180 scans of 9000x9000", OPEN, writes(jpeg(9000, 9000, 180))),
        Attack("jpeg: 180 scans of 2000x2000", OPEN, writes(jpeg(2000, 2000, 180))),
        Attack("bmp: 60,000 x 60,000", OPEN, writes(bmp(60_000, 60_000, False))),
        Attack("bmp: runs of 9,000 x 9,000 in 1 KB", OPEN, writes(bmp(9000, 9000, True))),
        Attack("picture: FIFO", OPEN, lambda p: os.mkfifo(p)),
        Attack("picture: /dev/zero", OPEN, lambda p: p.symlink_to("/dev/zero")),
        Attack("video: no container", VIDEO, writes(b"\0\0\0\x18ftypmp42" + b"\xff" * 10_000)),
        Attack("video: 3,000 frames of 1,024 px", VIDEO, lambda p: video(p, 1024, 3000)),
        Attack("workflow: 100,000 lists in lists", RUN, writes(b"[" * 100_000)),
        Attack("workflow: a number of 5,000 digits", RUN, writes(b'{"a": ' + b"9" * 5000 + b"}")),
        Attack("workflow: /dev/zero", RUN, lambda p: p.symlink_to("/dev/zero")),
        Attack("workflow: FIFO", RUN, lambda p: os.mkfifo(p)),
        Attack("server: JSON without end", PATIENT, serving(OK + b"\r\n", LONG)),
        Attack("server: headers without end", PATIENT, serving(OK, b"A: " + b"b" * 9999 + b"\r\n")),
        Attack("server: 100 Continue without end", PATIENT,
               serving(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
        Attack("server: an error without end", PATIENT, serving(BAD, LONG)),
        Attack("server: slow, --timeout 3", IN_TIME, serving(OK + b"\r\n", b" ", 0.3)),
        Attack("server: a slow error, --timeout 3", IN_TIME, serving(BAD, b" ", 0.3)),
        Attack("server: a slow head, --timeout 3", IN_TIME, serving(OK + b"A: ", b"x", 0.3)),
        Attack("server: redirects to file:", PATIENT,
               serving(b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n", LONG)),
        Attack("download: without end", DOWNLOAD, serving(OK + b"\r\n", LONG)),
        Attack("download: a byte now and then", DOWNLOAD,
               serving(OK + b"Content-Length: 2000000\r\n\r\n", b"x", 0.3)),
        Attack("download: headers without end", DOWNLOAD, serving(OK, b"A: b\r\n", 0.1)),
    ]  # fmt: skip


def tried(code: str, argument: str, folder: Path) -> tuple[float, int, str]:
    """Seconds, bytes above those before, and the last line of what was said."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, argument, code], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SWIN2SR_CACHE_DIR": str(folder)},
    )  # fmt: skip
    try:
        told, _ = process.communicate(timeout=3 * MOST_SECONDS)
        *lines, figures = told.strip().splitlines()
        seconds, peak = figures.split()
        return float(seconds), int(peak), lines[-1] if lines else "(nothing)"
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        process.wait()
        return time.monotonic() - begun, 0, f"unexpected end: {process.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT")
    args = parser.parse_args()
    bad = 0
    print(f"{'attack':<52}{'seconds':>8}{'MB':>7}  what was said")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, attack in enumerate(attacks()):
            if args.only not in attack.name:
                continue
            path = (
                folder / f"{number}.{'pth' if 'safetensors' not in attack.name else 'safetensors'}"
            )
            made = attack.make(path)
            argument = made if isinstance(made, str) else str(path)
            seconds, peak, said = tried(attack.how, argument, folder)
            wrong = seconds > MOST_SECONDS or peak > MOST_BYTES or "unexpected" in said
            bad += wrong
            said = said.replace(str(path), "FILE").replace(argument, "URL")
            mark = "!" if wrong else " "
            print(
                f"{mark}{attack.name:<51}{seconds:8.1f}{peak / 1e6:7.0f}  {said[:150]}", flush=True
            )
            path.unlink(missing_ok=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
