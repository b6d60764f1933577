import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import open_picture, save_picture
from swin2sr_core.pictures.files.animation import Box, changed_box, ticks
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.frame import Frame, from_pixels, to_pixels

FORMATS = pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
PALETTE = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30], [200, 100, 50], [255, 255, 255]], np.uint8
)


def few_colours(count=4, size=(11, 14), seed=0):
    """Frames of a few colours, in which a patch changes from one to the next."""
    generator = np.random.default_rng(seed)
    canvas = generator.integers(0, len(PALETTE), size)
    frames = []
    for _ in range(count):
        y, x = generator.integers(0, size[0] - 4), generator.integers(0, size[1] - 5)
        canvas = canvas.copy()
        canvas[y : y + 4, x : x + 5] = generator.integers(0, len(PALETTE), (4, 5))
        frames.append(PALETTE[canvas])
    return frames


def with_holes(frames, still=False):
    """The same with alpha that is 0 or 255, elsewhere in every frame; hidden colours are black."""
    generator = np.random.default_rng(1)
    result = []
    for pixels in frames:
        generator = np.random.default_rng(1) if still else generator
        alpha = generator.integers(0, 2, (*pixels.shape[:2], 1)).astype(np.uint8)
        result.append(np.concatenate([pixels * alpha, alpha * 255], axis=2))
    return result


def save(path, frames, **metadata):
    save_picture(path, (from_pixels(pixels) for pixels in frames), Metadata(**metadata))


def read(path):
    with open_picture(path) as picture:
        frames = [to_pixels(frame) for frame in picture.frames()]
    assert picture.frame_count == len(frames)
    return frames, picture.metadata


def assert_same(frames, expected):
    assert len(frames) == len(expected)
    for frame, other in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame, other)


@FORMATS
@pytest.mark.parametrize("holes", [None, "moving", "still"])
def test_there_and_back(tmp_path, suffix, holes):
    frames = few_colours()
    frames = with_holes(frames, still=holes == "still") if holes else frames
    path = tmp_path / f"a.{suffix}"
    save(path, frames, durations=(40, 120, 40, 500), loop=3)

    result, metadata = read(path)

    if holes:  # what is under a hole is of no account
        result = [np.where(frame[..., 3:] > 0, frame, 0) for frame in result]
    assert_same(result, frames)
    assert metadata.durations == (40, 120, 40, 500)
    assert metadata.loop == 3


@FORMATS
@pytest.mark.parametrize("loop", [0, 1, 2])
def test_how_often_it_plays(tmp_path, suffix, loop):
    path = tmp_path / f"a.{suffix}"
    save(path, few_colours(2), durations=(50, 50), loop=loop)
    assert read(path)[1].loop == loop


@pytest.mark.parametrize(("loop", "told"), [(None, 1), (0, 0), (4, 5)])
def test_gif_counts_repeats(tmp_path, loop, told):
    """A GIF without the loop extension plays once; with it, once more often than it says."""
    images = [Image.fromarray(frame) for frame in few_colours(2)]
    options = {} if loop is None else {"loop": loop}
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], **options)
    assert read(tmp_path / "a.gif")[1].loop == told


@FORMATS
def test_frames_that_do_not_change_stay(tmp_path, suffix):
    frames = few_colours(2)
    frames = [frames[0], frames[0], frames[1], frames[1]]
    save(tmp_path / f"a.{suffix}", frames, durations=(20, 30, 40, 50))
    result, metadata = read(tmp_path / f"a.{suffix}")
    assert_same(result, frames)
    assert metadata.durations == (20, 30, 40, 50)


@FORMATS
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_pillows_own_animations_are_read(tmp_path, suffix, mode):
    frames = few_colours(5, seed=3)
    frames = with_holes(frames) if mode == "RGBA" else frames
    images = [Image.fromarray(frame) for frame in frames]
    path = tmp_path / f"a.{suffix}"
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == "webp" else {}
    if mode == "RGBA" and suffix != "webp":
        options["disposal"] = 2 if suffix == "gif" else 1
    durations = [30, 60, 90, 120, 150]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=durations, loop=0, **options
    )
    result, metadata = read(path)
    if mode == "RGBA":
        result = [np.where(frame[..., 3:] > 0, frame, 0) for frame in result]
    assert_same(result, frames)
    assert metadata.durations == tuple(durations)


def test_a_partial_frame_without_disposal_lies_on_the_one_before(tmp_path):
    """A GIF of patches: the frames that come out are composited."""
    ground = Image.new("P", (8, 6), 0)
    ground.putpalette([255, 0, 0, 0, 0, 255])
    patch = Image.new("P", (8, 6), 0)
    patch.putpalette([255, 0, 0, 0, 0, 255])
    patch.paste(1, (2, 1, 5, 4))
    ground.save(tmp_path / "a.gif", save_all=True, append_images=[patch], duration=[50, 70], loop=0)
    assert (tmp_path / "a.gif").read_bytes().count(b",") == 2
    (first, second), _ = read(tmp_path / "a.gif")
    assert (first == [255, 0, 0]).all()
    assert (second[1:4, 2:5] == [0, 0, 255]).all() and (second[0] == [255, 0, 0]).all()


def test_an_apng_with_a_picture_for_other_readers(tmp_path):
    frames = few_colours(3)
    images = [Image.fromarray(frame) for frame in frames]
    Image.new("RGB", images[0].size, "pink").save(
        tmp_path / "a.png", save_all=True, default_image=True, append_images=images, duration=80
    )
    result, metadata = read(tmp_path / "a.png")
    assert_same(result, frames)
    assert metadata.durations == (80, 80, 80)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_grey_stays_grey(tmp_path, suffix):
    frames = [frame[..., :1] for frame in few_colours(3)]
    save(tmp_path / f"a.{suffix}", frames, durations=(50, 50, 50))
    assert_same(read(tmp_path / f"a.{suffix}")[0], frames)


def test_one_transparent_frame_gives_all_frames_alpha(tmp_path):
    frames = few_colours(3)
    opaque = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in frames]
    opaque[2] = with_holes(frames)[2]
    save(tmp_path / "a.gif", opaque, durations=(50, 50, 50))
    result, _ = read(tmp_path / "a.gif")
    assert [frame.shape[2] for frame in result] == [4, 4, 4]
    save(tmp_path / "b.gif", [f[..., :3] for f in opaque], durations=(50, 50, 50))
    assert [frame.shape[2] for frame in read(tmp_path / "b.gif")[0]] == [3, 3, 3]


def test_a_30th_of_a_second_survives_in_png(tmp_path):
    thirtieth = 1000 / 30
    save(tmp_path / "a.png", few_colours(3), durations=(thirtieth,) * 3)
    assert read(tmp_path / "a.png")[1].durations == pytest.approx((thirtieth,) * 3)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["duration"] == pytest.approx(thirtieth)


def test_very_long_durations(tmp_path):
    save(tmp_path / "a.png", few_colours(2), durations=(70_123, 10**9))
    durations = read(tmp_path / "a.png")[1].durations
    assert durations == pytest.approx((70_120, 65_535_000), rel=1e-4)


def test_an_apng_of_16_bits(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 6, 5, 3)).astype(np.uint16)
    frames = (from_pixels(frame) for frame in pixels)
    save_picture(tmp_path / "a.png", frames, Metadata(durations=(50,) * 3), bits=16)
    result, metadata = read(tmp_path / "a.png")
    assert metadata.bits == 8  # what Pillow gives of it
    assert_same(result, [(frame >> 8).astype(np.uint8) for frame in pixels])


def test_metadata_of_an_animated_webp(tmp_path):
    profile = (b"\0" * 16 + b"RGB ").ljust(201, b"\1")
    save(tmp_path / "a.webp", few_colours(2), durations=(5, 5), icc_profile=profile, dpi=(300, 200))
    metadata = read(tmp_path / "a.webp")[1]
    assert metadata.icc_profile == profile
    assert metadata.dpi == (300, 200)


def test_lossy_webp_is_smaller_and_near(tmp_path):
    y, x = np.mgrid[:64, :64]
    base = np.dstack([x * 3, y * 3, x + y]) + np.random.default_rng(0).integers(0, 9, (64, 64, 3))
    frames = [from_pixels((base + shift).clip(0, 255).astype(np.uint8)) for shift in (0, 9, 18)]
    metadata = Metadata(durations=(50,) * 3)
    save_picture(tmp_path / "a.webp", frames, metadata)
    save_picture(tmp_path / "b.webp", frames, metadata, quality=60)
    sizes = [(tmp_path / name).stat().st_size for name in ("a.webp", "b.webp")]
    assert sizes[1] < sizes[0] / 2
    for frame, other in zip(read(tmp_path / "b.webp")[0], frames, strict=True):
        assert np.abs(frame.astype(int) - to_pixels(other)).mean() < 8


@FORMATS
def test_frames_without_durations_last_100_ms(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", few_colours(3))
    assert read(tmp_path / f"a.{suffix}")[1].durations == (100, 100, 100)


@FORMATS
def test_one_float_frame_at_a_time(tmp_path, suffix):
    """The frames before are let go, so a long animation needs no more memory than a short one."""
    alive = weakref.WeakSet()
    most = 0

    def frames():
        nonlocal most
        for seed in range(8):
            frame = Frame(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))
            alive.add(frame.color)
            most = max(most, len(alive))
            yield frame
            del frame

    save_picture(tmp_path / f"a.{suffix}", frames(), Metadata(durations=(50,) * 8))
    assert most <= 2  # the one that comes and the one before it, not yet replaced


@pytest.mark.parametrize("suffix", ["jpg", "tif", "bmp"])
def test_an_animation_where_none_can_be(tmp_path, suffix):
    started = []

    def frames():
        started.append(True)
        yield from (Frame(torch.rand(1, 3, 4, 4)) for _ in range(2))

    path = tmp_path / f"a.{suffix}"
    with pytest.raises(InputError, match=r"holds one frame, not an animation; write a\.webp"):
        save_picture(path, frames(), Metadata(durations=(50, 50)))
    assert not started  # told before the work
    with pytest.raises(InputError, match="holds one frame, not an animation"):
        save_picture(path, frames())
    assert list(tmp_path.iterdir()) == []


def test_frames_of_different_sizes(tmp_path):
    frames = [Frame(torch.rand(1, 3, 4, 4)), Frame(torch.rand(1, 3, 4, 5))]
    with pytest.raises(InputError, match="must have one height, width and number of channels"):
        save_picture(tmp_path / "a.png", frames, Metadata(durations=(50, 50)))
    assert list(tmp_path.iterdir()) == []


@FORMATS
def test_a_cut_animation(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3)).astype(np.uint8)
    save(path, list(noise), durations=(50,) * 4)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match="damaged"):
        read(path)


def test_a_gif_of_many_colours_is_reduced_not_broken(tmp_path):
    y, x = np.mgrid[:64, :64]
    pixels = np.dstack([x * 4, y * 4, (x + y) * 2]).astype(np.uint8)
    save_picture(tmp_path / "a.gif", [from_pixels(pixels)])
    (frame,), _ = read(tmp_path / "a.gif")
    assert np.abs(frame.astype(int) - pixels).mean() < 8


def test_half_transparent_pixels_of_a_gif(tmp_path):
    alpha = np.array([0, 127, 128, 255], np.uint8).reshape(1, 4, 1)
    pixels = np.concatenate([np.full((1, 4, 3), 9, np.uint8), alpha], axis=2)
    save_picture(tmp_path / "a.gif", [from_pixels(pixels)])
    (frame,), _ = read(tmp_path / "a.gif")
    assert frame[0, :, -1].tolist() == [0, 0, 255, 255]


@given(st.lists(st.floats(0, 2000), max_size=30), st.sampled_from([1.0, 10.0]))
def test_ticks_stay_in_time(durations, step):
    source = ticks(durations, step)
    told = [next(source) for _ in durations]
    assert all(steps > 0 for steps, wanted in zip(told, durations, strict=True) if wanted > 0)
    forced = sum(wanted < step for wanted in durations)  # never less than one step
    assert abs(sum(told) * step - sum(durations)) <= step * (0.5 + forced) + 1e-6
    assert next(source) >= 1  # and without end


def test_ticks_of_a_30th():
    source = ticks([1000 / 30] * 6, 10)
    assert [next(source) for _ in range(6)] == [3, 4, 3, 3, 4, 3]


def test_changed_box():
    before = np.zeros((6, 8, 3), np.uint8)
    after = before.copy()
    assert changed_box(None, after) == Box(0, 0, 8, 6)
    assert changed_box(before, after) == Box(0, 0, 1, 1)
    after[3, 5, 2] = after[4, 7, 0] = 1
    assert changed_box(before, after) == Box(5, 3, 8, 5)
    assert changed_box(before, after, align=2) == Box(4, 2, 8, 5)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_no_animation_is_turned(tmp_path, suffix):
    """Players show its pixels as they are stored, whatever its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.new("RGB", (12, 8), color) for color in ((200, 0, 0), (0, 200, 0))]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], exif=exif.tobytes(), duration=50)
    with open_picture(path) as picture:
        assert picture.size == (12, 8) and picture.frame_count == 2
        assert [frame.size for frame in picture.frames()] == [(12, 8), (12, 8)]
