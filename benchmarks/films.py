"""Films through the command line: pictures counted, sound compared, memory against length.

    python benchmarks/films.py [--seconds 2 10] [--size 320x240]

The film is drawn here, 25 pictures a second with a tone in AAC. The network is tiny: memory is that
of pictures, encoder and libraries. Needs PyAV, and Linux for the peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from large_files import tiny_network

RATE, SOUND_RATE, SAMPLES = 25, 44100, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--size", default="320x240")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    print("film      pictures in, out   sound equal   times off by   seconds   peak MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = tiny_network(folder)
        for seconds in arguments.seconds:
            source = drawn(folder / f"{seconds}.mp4", seconds, width, height)
            row(source, folder / "out.mp4", model)


def drawn(path: Path, seconds: int, width: int, height: int) -> Path:
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=RATE)
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        tone = container.add_stream("aac", rate=SOUND_RATE)
        y, x = np.mgrid[0:height, 0:width]
        for number in range(seconds * RATE):
            waves = [np.sin((x + each * y + number * 3) / 20) * 100 + 128 for each in (0, 1, 2)]
            pixels = np.stack(waves, axis=2).astype(np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        for number in range(seconds * SOUND_RATE // SAMPLES):
            wave = np.sin(np.arange(SAMPLES) / 9 + number)[None].astype(np.float32)
            part = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            part.sample_rate, part.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            part.pts = number * SAMPLES
            container.mux(tone.encode(part))
        container.mux(track.encode(None))
        container.mux(tone.encode(None))
    return path


def row(source: Path, output: Path, model: Path) -> None:
    command = [sys.executable, "-m", "swin2sr_core", "upscale", source, "-o", output, "--json"]
    options = ["--model", model, "--scale", "2", "--overwrite", "--device", "cpu"]
    started = time.perf_counter()
    with subprocess.Popen(list(map(str, [*command, *options])), stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        document = json.loads(run.stdout.read())
        status, usage = ended(run)
    seconds = time.perf_counter() - started
    before, after = times(source), times(output)
    apart = max(abs(a - b) for a, b in zip(before, after, strict=True))
    print(
        f"{source.stem:>3} s{len(before):>12}, {len(after)}{sound(source) == sound(output)!s:>14}"
        f"{apart * 1000:>12.2f} ms{seconds:>12.1f}{usage / 1024:>10.0f}   exit {status}, "
        f"{document['frames']} told",
        flush=True,
    )


def ended(run: subprocess.Popen[bytes]) -> tuple[int, int]:
    """The exit code of a child that ends, and its peak in KiB."""
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    return run.returncode, usage.ru_maxrss


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


if __name__ == "__main__":
    main()
