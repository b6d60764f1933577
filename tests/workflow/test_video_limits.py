"""Videos of strangers: what they would take is told before it is taken."""

import numpy as np
import pytest

from swin2sr_core.errors import InputError
from swin2sr_headless.workflow.execution import video

av = pytest.importorskip("av", reason="the extra `video` is not installed")


@pytest.fixture
def clip(tmp_path):
    """Ten frames of 64 x 48."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in range(10):
            pixels = np.full((48, 64, 3), value * 25, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_a_video_is_its_frames(clip):
    images = video.VideoFile(clip).decoded().images
    assert images.shape == (10, 48, 64, 3)
    assert [round(float(each.mean()), 1) for each in images[[0, 9]]] == [0.0, 0.9]


def test_more_than_is_free_is_told(clip, monkeypatch):
    need = 10 * 48 * 64 * 3 * 5
    monkeypatch.setattr(video, "free_host_bytes", lambda: need - 1)
    with pytest.raises(InputError, match=r"10 frames of 64x48 take .* is free"):
        video.VideoFile(clip).decoded()
    monkeypatch.setattr(video, "free_host_bytes", lambda: need)
    assert len(video.VideoFile(clip).decoded().images) == 10


def test_what_was_not_claimed_counts_as_it_comes():
    with pytest.raises(InputError, match="3 frames"):
        video._check_room(3, 1000, 1000, 2 * 1000 * 1000 * 15)


def test_frames_beyond_the_limit_of_pictures(clip, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(InputError, match="frames of 64x48, and the limit"):
        video.VideoFile(clip).decoded()


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x18ftypmp42" + b"\xff" * 1000, b"x" * 5000])
def test_what_is_no_video(content, tmp_path):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(InputError, match="no video that can be read"):
        video.VideoFile(tmp_path / "x.mp4").decoded()
