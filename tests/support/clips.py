"""A clip of three grey frames, as `input.mp4` of workflows."""

from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, sound: bool = False) -> None:
    """48x32, eight frames a second; a tone beside them where it has sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        tone = container.add_stream("aac", rate=8000) if sound else None
        for number in range(3):
            pixels = np.full((32, 48, 3), 60 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        if tone is not None:
            wave = np.sin(np.arange(3000) / 9).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
            frame.sample_rate = 8000
            container.mux(tone.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            container.mux(tone.encode())
