"""Video files <-> frames and sound, with PyAV, as ComfyUI 0.3.64 does it: the same packets."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swin2sr_core.errors import InputError

from ...comfy_stub.model_management import throw_exception_if_processing_interrupted

_MILLI = 1000


@dataclass(frozen=True)
class Sound:
    """Samples, 1 C N floats, at `rate` per second."""

    waveform: Tensor
    rate: int


@dataclass(frozen=True)
class Video:
    """Frames B H W 3 in 0..1, `rate` of them per second, and their sound, if any."""

    images: Tensor
    rate: Fraction
    sound: Sound | None = None


@dataclass(frozen=True)
class VideoFile:
    """A video that nobody has decoded yet."""

    path: Path

    def decoded(self) -> Video:
        """All of it, in memory. Raises InputError for what is no video."""
        try:
            with pyav().open(str(self.path)) as container:
                return _decoded(container)
        except (OSError, ValueError, IndexError) as error:
            raise InputError(f"{self.path.name} is no video that can be read: {error}") from error


def pyav() -> Any:
    """The package av. Raises InputError where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise InputError(
            "videos need the package av (pip install av); --comfyui DIR and --server URL have it"
        ) from error


def encode(video: Video, path: Path, metadata: Mapping[str, object]) -> None:
    """Write H.264 and AAC in MP4. Raises InputError where a frame has an odd side."""
    av = pyav()
    height, width = video.images.shape[1:3]
    if height % 2 or width % 2:
        raise InputError(
            f"a video of {width}x{height} cannot be saved: H.264 wants even sides; choose another "
            "scale"
        )
    temporary = path.with_name(f".{path.name}.part.mp4")
    try:
        with av.open(str(temporary), mode="w", options={"movflags": "use_metadata_tags"}) as output:
            for name, value in metadata.items():
                output.metadata[name] = json.dumps(value)
            _encode(av, output, video)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _encode(av: Any, output: Any, video: Video) -> None:
    rate = Fraction(round(video.rate * _MILLI), _MILLI)
    stream = output.add_stream("h264", rate=rate)
    stream.height, stream.width = video.images.shape[1:3]
    stream.pix_fmt = "yuv420p"
    sound = None if video.sound is None else output.add_stream("aac", rate=video.sound.rate)
    for image in video.images[..., :3]:
        throw_exception_if_processing_interrupted()
        values = (image * 255).clamp(0, 255).byte().cpu().numpy()
        frame = av.VideoFrame.from_ndarray(values, format="rgb24").reformat(format="yuv420p")
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    if sound is None or video.sound is None:
        return
    count = math.ceil((video.sound.rate / rate) * len(video.images))
    waveform = video.sound.waveform[..., :count]
    samples = waveform.movedim(2, 1).reshape(1, -1).float().numpy()
    layout = "mono" if waveform.shape[1] == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
    frame.sample_rate, frame.pts = video.sound.rate, 0
    output.mux(sound.encode(frame))
    output.mux(sound.encode(None))


def _decoded(container: Any) -> Video:
    stream = container.streams.video[0]
    frames = []
    for frame in container.decode(video=0):
        throw_exception_if_processing_interrupted()
        frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")) / 255.0)
    if not frames:
        raise ValueError("it has no frames")
    rate = Fraction(stream.average_rate) if stream.average_rate else Fraction(1)
    return Video(torch.stack(frames), rate, _sound(container))


def _sound(container: Any) -> Sound | None:
    """The last of the sound tracks, which is the one that ComfyUI takes."""
    result = None
    container.seek(0)
    for stream in container.streams.audio:
        blocks = [
            frame.to_ndarray() for packet in container.demux(stream) for frame in packet.decode()
        ]
        if blocks:
            waveform = torch.from_numpy(np.concatenate(blocks, axis=1))[None]
            result = Sound(waveform, int(stream.sample_rate or 1))
    return result
