"""Video files <-> frames and sound, with PyAV, as ComfyUI 0.3.64 does it: the same packets."""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swin2sr_core.errors import InputError
from swin2sr_core.machine.host_memory import free_host_bytes
from swin2sr_core.pictures.limits import MAX_PIXELS
from swin2sr_core.temporary import temporary_file
from swin2sr_core.units import format_bytes

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
        except (OSError, ValueError, IndexError, RuntimeError) as error:
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
    temporary, descriptor = temporary_file(path.parent)
    os.close(descriptor)  # av opens it by its name
    try:
        options = {"movflags": "use_metadata_tags"}
        with av.open(str(temporary), mode="w", format="mp4", options=options) as output:
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
    free = free_host_bytes()
    _check_room(stream.frames, stream.width, stream.height, free)  # what it claims
    frames: list[np.ndarray] = []
    for frame in container.decode(video=0):
        throw_exception_if_processing_interrupted()
        _check_room(len(frames) + 1, frame.width, frame.height, free)
        frames.append(frame.to_ndarray(format="rgb24"))
    if not frames:
        raise ValueError("it has no frames")
    rate = Fraction(stream.average_rate) if stream.average_rate else Fraction(1)
    images = torch.empty(len(frames), *frames[0].shape)
    for image, pixels in zip(images, frames, strict=True):
        image.copy_(torch.from_numpy(pixels)).div_(255.0)
    return Video(images, rate, _sound(container))


def _check_room(count: int, width: int, height: int, free: int | None) -> None:
    """Raise InputError for frames that are too large, or too many for the memory that is free."""
    if width * height > MAX_PIXELS:
        raise InputError(
            f"the video has frames of {width}x{height}, and the limit is {MAX_PIXELS:,} pixels; "
            "make it smaller"
        )
    size = count * width * height * 3 * (1 + 4)  # as bytes, and then as floats beside them
    if free is not None and size > free:
        raise InputError(
            f"{count} frames of {width}x{height} take {format_bytes(size)}, and "
            f"{format_bytes(free)} is free; cut the video, or make it smaller"
        )


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
