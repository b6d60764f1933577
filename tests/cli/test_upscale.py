"""swin2sr upscale: every kind of picture, its outputs, and what it says about them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import swin2sr_core as s2
from swin2sr_core.models.checkpoint import save_checkpoint
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.pictures.frame import Frame, from_pixels, to_pixels
from swin2sr_headless.cli.main import main


def noise(width, height, channels=3):
    array = np.random.default_rng(channels).integers(0, 256, (height, width, channels), np.uint8)
    return array[..., 0] if channels == 1 else array


def picture(path, width=24, height=16, channels=3, **options):
    Image.fromarray(noise(width, height, channels)).save(path, **options)
    return path


def grey_restorer(path):
    """A random network that takes and gives one channel at x1."""
    config = s2.Swin2SRConfig(1, 12, (2,), (2,), 7, 24, 1, "none", "1conv", 255.0)
    torch.manual_seed(0)
    save_checkpoint(path, Swin2SR(config).state_dict())
    return path


def test_a_png_gets_what_the_core_computes(tmp_path, run):
    source = picture(tmp_path / "a.png")
    code, out, err = run("upscale", source, "--precision", "fp32", "--device", "cpu")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'a_x4.png'}: 24x16 -> 96x64, compact-x4, cpu, fp32, whole,")
    assert out.count("\n") == 1
    frame = from_pixels(noise(24, 16))
    expected = s2.upscale(s2.load_model(precision="fp32"), frame.color).image
    assert (np.array(Image.open(tmp_path / "a_x4.png")) == to_pixels(Frame(expected))).all()


@pytest.mark.parametrize(
    ("name", "channels", "mode"),
    [
        ("a.jpg", 3, "RGB"),
        ("a.webp", 3, "RGB"),
        ("a.webp", 4, "RGBA"),
        ("a.png", 1, "L"),
        ("a.png", 2, "LA"),
        ("a.png", 4, "RGBA"),
        ("a.tif", 3, "RGB"),
        ("a.bmp", 3, "RGB"),
    ],
)
def test_formats_and_channels_are_kept(name, channels, mode, tmp_path, run):
    options = {"lossless": True} if name.endswith("webp") else {}
    source = picture(tmp_path / name, channels=channels, **options)
    code, _, err = run("upscale", source)
    assert (code, err) == (0, "")
    with Image.open(tmp_path / name.replace("a.", "a_x4.")) as result, Image.open(source) as image:
        assert (result.format, result.mode, result.size) == (image.format, mode, (96, 64))


def test_the_suffix_of_the_output_converts(tmp_path, run):
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "-o", tmp_path / "new" / "b.jpg", "--quality", "50")[0] == 0
    with Image.open(tmp_path / "new" / "b.jpg") as result:
        assert (result.format, result.size) == ("JPEG", (96, 64))
    assert run("upscale", source, "-o", tmp_path / "c.jpg")[0] == 0
    coarse, fine = tmp_path / "new" / "b.jpg", tmp_path / "c.jpg"
    assert coarse.stat().st_size < fine.stat().st_size


def depth(path):
    return path.read_bytes()[24]


def test_sixteen_bits_stay_sixteen_where_the_format_has_them(tmp_path, run):
    source = tmp_path / "a.png"
    Image.fromarray(noise(16, 16, 1).astype(np.uint16) * 251).save(source)
    assert depth(source) == 16
    assert run("upscale", source)[0] == 0
    assert depth(tmp_path / "a_x4.png") == 16
    assert run("upscale", source, "-o", tmp_path / "b.png", "--bits", "8")[0] == 0
    assert depth(tmp_path / "b.png") == 8
    assert run("upscale", source, "-o", tmp_path / "b.jpg")[0] == 0
    assert run("upscale", picture(tmp_path / "c.png"), "--bits", "16")[0] == 0
    assert depth(tmp_path / "c_x4.png") == 16
    code, _, err = run("upscale", source, "-o", tmp_path / "d.jpg", "--bits", "16")
    assert code == 2 and "JPEG holds 8 bits, not 16" in err


@pytest.mark.parametrize(
    ("name", "format"), [("a.gif", "GIF"), ("a.webp", "WEBP"), ("a.png", "PNG")]
)
def test_animations_keep_their_timing(name, format, tmp_path, run):
    frames = [Image.fromarray(noise(16, 16) // (n + 1)) for n in range(3)]
    source = tmp_path / name
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=[40, 120, 80], loop=2)
    code, out, _ = run("upscale", source, "--json")
    document = json.loads(out)
    assert code == 0 and document["frames"] == 3
    with Image.open(document["output"]) as result:
        assert (result.format, result.size, result.n_frames) == (format, (64, 64), 3)
        durations = []
        for number in range(3):
            result.seek(number)
            result.load()
            durations.append(result.info["duration"])
    assert durations == [40, 120, 80]


def test_an_animation_does_not_fit_into_a_jpeg(tmp_path, run):
    frames = [Image.fromarray(noise(16, 16) // (n + 1)) for n in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    code, _, err = run("upscale", tmp_path / "a.gif", "-o", tmp_path / "a.jpg")
    assert code == 2 and "JPEG holds one frame, not an animation" in err
    assert not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 40)])
def test_tiny_pictures(size, tmp_path, run):
    source = picture(tmp_path / "a.png", *size)
    assert run("upscale", source)[0] == 0
    with Image.open(tmp_path / "a_x4.png") as result:
        assert result.size == (4 * size[0], 4 * size[1])


def test_a_very_long_picture(tmp_path, run):
    assert run("upscale", picture(tmp_path / "a.png", 4000, 10))[0] == 0
    with Image.open(tmp_path / "a_x4.png") as result:
        assert result.size == (16000, 40)


@pytest.mark.parametrize(
    ("scale", "name", "size"), [("2", "a_x2.png", (48, 32)), ("2.5", "a_x2.5.png", (60, 40))]
)
def test_other_scales(scale, name, size, tmp_path, run):
    assert run("upscale", picture(tmp_path / "a.png"), "--scale", scale)[0] == 0
    with Image.open(tmp_path / name) as result:
        assert result.size == size


def test_strategies_and_budgets_agree(tmp_path, run):
    source = picture(tmp_path / "a.png", 48, 40)
    options = ["--precision", "fp32", "--device", "cpu", "--json"]
    results = []
    for name, choice in (
        ("whole", ["--strategy", "whole"]),
        ("staged", ["--strategy", "staged", "--max-memory", "324MB"]),
    ):
        code, out, _ = run("upscale", source, *options, *choice, "-o", tmp_path / f"{name}.png")
        document = json.loads(out)
        assert code == 0 and document["strategy"] == name
        results.append(np.array(Image.open(document["output"])).astype(int))
    assert abs(results[0] - results[1]).max() <= 1


def test_json_tells_everything(tmp_path, run):
    source = picture(tmp_path / "a.png")
    code, out, err = run("upscale", source, "--json", "--device", "cpu", "--precision", "bf16")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (
        document["plan"]
        == s2.plan_upscale(s2.load_model().config, 16, 24, precision="bf16", streamed=0).to_dict()
    )
    assert document["inference_time_ms"] > 0
    assert 0.01 < document["peak_memory_gb"] < 1000
    assert document["peak_memory_of"] == "process"
    expected = {
        "status": "ok",
        "input": str(source),
        "output": str(tmp_path / "a_x4.png"),
        "comparison": None,
        "input_size": [24, 16],
        "output_size": [96, 64],
        "frames": 1,
        "model": "compact-x4",
        "precision": "bf16",
        "device": "cpu",
        "strategy": "whole",
        "fallbacks": [],
    }
    assert document == document | expected


def test_a_folder_into_a_folder(tmp_path, run):
    folder = tmp_path / "in"
    folder.mkdir()
    picture(folder / "b.jpg")
    picture(folder / "a.png")
    (folder / "notes.txt").write_text("no picture")
    code, out, err = run("upscale", folder, "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_x4.png", "b_x4.jpg"]
    lines = out.splitlines()
    assert len(lines) == 3 and lines[-1].startswith("2 of 2 pictures done, ")


def test_a_pattern_and_a_folder_are_answered_with_a_list(tmp_path, run):
    picture(tmp_path / "a.png")
    code, out, _ = run("upscale", tmp_path / "*.png", "-o", tmp_path / "out", "--json")
    document = json.loads(out)
    assert code == 0 and document["status"] == "ok"
    assert [each["output"] for each in document["results"]] == [str(tmp_path / "out" / "a_x4.png")]


def test_one_broken_picture_of_several_does_not_stop_the_others(tmp_path, run):
    good = [picture(tmp_path / name) for name in ("a.png", "c.png")]
    (tmp_path / "b.png").write_text("no picture")
    code, out, err = run("upscale", good[0], tmp_path / "b.png", good[1])
    assert code == 1
    assert (tmp_path / "a_x4.png").exists() and (tmp_path / "c_x4.png").exists()
    assert not (tmp_path / "b_x4.png").exists()
    assert err.splitlines()[0].startswith("swin2sr: error: ") and "b.png is not a picture" in err
    assert "2 of 3 pictures done, 1 failed, " in err and "Traceback" not in err
    assert len(out.splitlines()) == 2
    code, out, _ = run("upscale", good[0], tmp_path / "b.png", good[1], "--json", "--overwrite")
    document = json.loads(out)
    assert code == 1 and document["status"] == "error"
    assert [each["status"] for each in document["results"]] == ["ok", "error", "ok"]
    assert "b.png is not a picture" in document["results"][1]["error"]


def test_a_comparison_shows_bicubic_left_and_the_result_right(tmp_path, run):
    source = picture(tmp_path / "a.png", 40, 32)
    code, out, _ = run("upscale", source, "--compare", "--json")
    document = json.loads(out)
    assert code == 0 and document["comparison"] == str(tmp_path / "a_x4_compare.png")
    canvas = np.array(Image.open(tmp_path / "a_x4_compare.png"))
    height, width = canvas.shape[:2]
    assert width == 2 * 160 + 2 and 128 + 10 < height < 128 + 40
    bicubic = Image.open(source).resize((160, 128), Image.Resampling.BICUBIC)
    assert (canvas[-128:, :160] == np.array(bicubic)).all()
    assert (canvas[:, 160:162] == 255).all()
    assert (canvas[-128:, 162:] == np.array(Image.open(tmp_path / "a_x4.png"))).all()
    heading = canvas[:-128]
    assert heading[:, :160].std() > 5 and heading[:, 162:].std() > 5


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_comparison_of_grey_and_transparent_pictures(channels, tmp_path, run):
    source = picture(tmp_path / "a.png", channels=channels)
    assert run("upscale", source, "--compare")[0] == 0
    with Image.open(tmp_path / "a_x4_compare.png") as canvas:
        assert canvas.mode == "RGB"


def test_a_comparison_of_an_animation_is_a_still_of_its_first_frame(tmp_path, run):
    frames = [Image.fromarray(noise(16, 16) // (n + 1)) for n in range(2)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 40, "lossless": True}
    frames[0].save(tmp_path / "a.webp", **options)
    assert run("upscale", tmp_path / "a.webp", "--compare")[0] == 0
    with (
        Image.open(tmp_path / "a_x4_compare.png") as canvas,
        Image.open(tmp_path / "a_x4.webp") as result,
    ):
        assert result.n_frames == 2
        assert b"acTL" not in (tmp_path / "a_x4_compare.png").read_bytes()
        assert (np.array(canvas)[-64:, 66:] == np.array(result.convert("RGB"))).all()


def test_a_grey_model_takes_grey_and_refuses_colour(tmp_path, run):
    model = grey_restorer(tmp_path / "grey.safetensors")
    grey = picture(tmp_path / "a.png", channels=1)
    options = ["--model", model, "--precision", "fp32", "--device", "cpu"]
    code, out, err = run("upscale", grey, *options)
    assert (code, err) == (0, "") and ", grey, cpu, fp32, " in out
    image = from_pixels(noise(24, 16, 1)[..., None]).color
    expected = to_pixels(Frame(s2.upscale(s2.load_model(model, "fp32"), image).image))
    assert (np.array(Image.open(tmp_path / "a_x1.png")) == expected[..., 0]).all()
    code, _, err = run("upscale", picture(tmp_path / "c.png"), *options)
    assert code == 2 and "c.png is in colour, and grey takes grey pictures only" in err
    assert not (tmp_path / "c_x1.png").exists()


def test_progress_is_shown_off_a_terminal_only_on_request(tmp_path, run):
    source = picture(tmp_path / "a.png", channels=4)
    assert run("upscale", source)[2] == ""
    code, out, err = run("upscale", source, "--overwrite", "--progress", "--json")
    assert code == 0 and "a.png:   0%|" in err and " left" in err
    assert json.loads(out)["status"] == "ok"


def test_overwriting_is_allowed_on_request(tmp_path, run):
    source = picture(tmp_path / "a.png")
    (tmp_path / "a_x4.png").write_bytes(b"old")
    assert run("upscale", source, "--overwrite")[0] == 0
    with Image.open(tmp_path / "a_x4.png") as result:
        assert result.size == (96, 64)


def test_warnings_are_lines_of_the_command(tmp_path, run):
    source = picture(tmp_path / "a.png", channels=4)
    code, _, err = run("upscale", source, "-o", tmp_path / "a.jpg")
    assert code == 0
    assert err == "swin2sr: warning: JPEG has no transparency; a.jpg is laid on white\n"


def test_tiles_of_an_odd_size_are_rounded_and_told(tmp_path, capsys):
    source = tmp_path / "in.png"
    Image.new("RGB", (70, 50), (90, 120, 30)).save(source)
    options = ["--strategy", "tiled", "--tile", "45", "--overlap", "12"]
    assert main(["upscale", str(source), *options]) == 0
    told = capsys.readouterr()
    assert "tiled" in told.out + told.err
    assert "overlap 12 became 16" in told.out + told.err
    assert "tile 45 became 48" in told.out + told.err
    with Image.open(tmp_path / "in_x4.png") as result:
        assert result.size == (280, 200)


# -- the options of the picture job --------------------------------------------------------------


def test_a_longest_side_gives_the_size_and_the_name(tmp_path, run):
    source = picture(tmp_path / "a.png")
    code, out, err = run("upscale", source, "--longest-side", 60)
    assert (code, err) == (0, "")
    assert Image.open(tmp_path / "a_60px.png").size == (60, 40)
    assert "24x16 -> 60x40" in out


def test_megapixels_give_the_size_and_the_name(tmp_path, run):
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "--megapixels", 0.0025)[0] == 0
    with Image.open(tmp_path / "a_0.0025MP.png") as made:
        assert made.size == (63, 42)
        assert abs(made.width * made.height / 1024**2 - 0.0025) < 0.0025 / 40
    code, out, _ = run("upscale", tmp_path)  # its own outputs are no inputs
    assert code == 0 and "a_0.0025MP" not in out
    code, _, err = run("upscale", source, "--megapixels", 1, "--longest-side", 60)
    assert code == 2 and "not allowed with" in err


@pytest.mark.parametrize("channels", [3, 4])
def test_edges_that_wrap_and_sharpening_are_the_jobs(tmp_path, run, channels):
    from swin2sr_core.picture_job import PictureJob, PictureReport
    from swin2sr_core.planning.picture_plan import PictureSettings

    source = picture(tmp_path / "a.png", channels=channels)
    options = ["--edge", "wrap", "--sharpen", "0.2", "--scale", 2, "--precision", "fp32"]
    assert run("upscale", source, *options)[0] == 0
    settings = PictureSettings(scale=2.0, edge="wrap", sharpen=0.2)
    job = PictureJob(s2.load_model(precision="fp32"), settings)
    expected = job.run(from_pixels(noise(24, 16, channels)), PictureReport())
    assert (np.array(Image.open(tmp_path / "a_x2.png")) == to_pixels(expected)).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--sharpen", "0.6"], "expected a number from 0 (off) to 0.5, got '0.6'"),
        (["--edge", "mirror"], "invalid choice: 'mirror'"),
        (["--longest-side", "0"], "expected a whole number from 1 to"),
        (["--megapixels", "0"], "expected a number over 0 and at most 1024, got '0'"),
    ],
)
def test_options_of_the_picture_job_out_of_range(tmp_path, run, options, sentence):
    code, _, err = run("upscale", picture(tmp_path / "a.png"), *options)
    assert code == 2 and sentence in err and err.count("\n") == 1


def test_what_a_plan_of_a_transparent_picture_promises_upscale_keeps(tmp_path, run):
    """The colours wait while alpha is upscaled: both count that, or both refuse."""
    source = picture(tmp_path / "a.png", 384, 384, 4)
    limit = ["--max-memory", "360MB", "--precision", "fp32", "--device", "cpu"]
    planned, _, said = run("plan", source, *limit)
    done, _, refused = run("upscale", source, *limit)
    assert planned == done == 2
    assert said == refused.replace(f"{source}: ", "")
