"""Films: pictures upscaled, sound copied, times kept. Needs PyAV (pip install av)."""

import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs PyAV (pip install av)")

SAMPLES = 1024


def film(path, frames=6, size=(32, 24), times=None, sound=True, pix_fmt="yuv420p", **color):
    """A square that wanders, and a tone."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a square"
        track = container.add_stream("libx264", rate=25, options={"crf": "5"})
        track.width, track.height, track.pix_fmt = *size, pix_fmt
        track.time_base = track.codec_context.time_base = Fraction(1, 12800)
        for name, value in color.items():
            setattr(track.codec_context, name, value)
        tone = container.add_stream("aac", rate=44100, layout="mono") if sound else None
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), (40, 90, 200), np.uint8)
            pixels[4:12, 2 + number : 12 + number] = (230, 60, 30)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=color.get("colorspace"))
            frame.pts = number * 512 if times is None else times[number]
            frame.time_base = Fraction(1, 12800)
            container.mux(track.encode(frame))
            if tone is not None:
                wave = np.sin(np.arange(SAMPLES) / 10 + number)[None].astype(np.float32)
                part = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                part.sample_rate, part.pts = 44100, number * SAMPLES
                container.mux(tone.encode(part))
        container.mux(track.encode(None))
        if tone is not None:
            container.mux(tone.encode(None))
    return path


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = next(each for each in container.streams if each.type == kind)
        return [(each.pts, bytes(each)) for each in container.demux(stream) if each.size]


def pictures(path):
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.time, frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_film_keeps_its_sound_and_its_times(tmp_path, run, suffix):
    times = [0, 512, 1536, 2048, 4096, 4608]  # not evenly
    source = film(tmp_path / f"clip{suffix}", times=times)
    output = tmp_path / f"clip_x2{suffix}"
    code, out, err = run("upscale", source, "--scale", "2", "--json", "--device", "cpu")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["output"] == str(output) and document["frames"] == 6
    assert document["output_size"] == [64, 48] and document["copied"] == ["audio"]
    assert [data for _, data in packets(output, "audio")] == [
        data for _, data in packets(source, "audio")
    ]
    before, after = list(pictures(source)), list(pictures(output))
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    for (_, small), (_, large) in zip(before, after, strict=True):
        reduced = large.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
        assert np.abs(reduced - small).mean() < 4
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "a square"


def test_colours_are_those_of_the_film(tmp_path, run):
    """As BT.709 the same numbers are other colours than as BT.601."""
    source = film(tmp_path / "a.mp4", 2, sound=False, colorspace=1, color_primaries=1, color_trc=1)
    assert run("upscale", source, "-o", tmp_path / "b.mp4", "--scale", "2")[0] == 0
    with av.open(str(tmp_path / "b.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
    (_, small), (_, large) = next(pictures(source)), next(pictures(tmp_path / "b.mp4"))
    assert np.abs(large[40:, 50:].mean(axis=(0, 1)) - small[20:, 25:].mean(axis=(0, 1))).max() < 3


def test_odd_sizes_keep_all_their_colour(tmp_path, run):
    source = film(tmp_path / "a.mp4", 2, (17, 15), sound=False, pix_fmt="yuv444p")
    assert run("upscale", source, "-o", tmp_path / "b.mp4", "--scale", "3")[0] == 0
    _, large = next(pictures(tmp_path / "b.mp4"))
    assert large.shape == (45, 51, 3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "b.gif"], "a film cannot be written as b.gif"),
        (["--skip-existing"], "a film starts anew"),
        (["a.mp4", "c.mp4"], "one by one"),
    ],
)
def test_what_does_not_go_with_films(tmp_path, run, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", 1, sound=False)
    film(tmp_path / "c.mp4", 1, sound=False)
    code, _, err = run("upscale", "a.mp4", *options)
    assert code == 2 and sentence in err and err.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mp4", "c.mp4"]


def test_no_film_and_one_without_pictures(tmp_path, run):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    code, _, err = run("upscale", tmp_path / "a.mp4")
    assert code == 2 and "is no film that can be read" in err and err.count("\n") == 1


def test_an_output_that_is_there_stays(tmp_path, run):
    source = film(tmp_path / "a.mp4", 1, sound=False)
    (tmp_path / "a_x4.mp4").write_bytes(b"mine")
    code, _, err = run("upscale", source)
    assert code == 2 and "exists already" in err
    assert (tmp_path / "a_x4.mp4").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_film_that_is_stopped_leaves_nothing(tmp_path):
    source = film(tmp_path / "a.mp4", 40, (160, 120), sound=False)
    command = [sys.executable, "-m", "swin2sr_core", "upscale", source, "--progress"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "frame 2" in line:
                running.terminate()
                break
        running.stderr.read()
    assert running.returncode == 130
    assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]
