"""PSNR and SSIM against their definitions and scikit-image; the evaluate command."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.models.checkpoint import save_checkpoint
from swin2sr_core.pictures.metrics import (
    blockiness,
    chroma,
    compared_luma,
    luma,
    psnr_chroma,
    psnr_y,
    rounded,
    ssim_y,
)
from swin2sr_headless.cli.main import main
from swin2sr_headless.cli.perceptual import flip
from swin2sr_headless.degradation.chain import STRENGTHS


def blurred_pair(make_image, height=40, width=50, seed=1):
    """A picture with structure, and a worse version of it."""
    image = F.interpolate(make_image(3, height // 4, width // 4, seed=seed), size=(height, width))
    return F.avg_pool2d(image, 3, 1, 1), image


def eight_bit_luma(image):
    pixels = (image[0].permute(1, 2, 0) * 255).round().double().numpy()
    return 16 + pixels @ np.array([65.481, 128.553, 24.966]) / 255


# -- the metrics -----------------------------------------------------------------------------------


def test_luma_is_bt_601():
    """Black, white and the primaries, as MATLAB's rgb2ycbcr gives them before rounding."""
    colors = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    found = luma(colors.T[None, :, :, None]).flatten().tolist()
    assert found == pytest.approx([16.0, 235.0, 81.481, 144.553, 40.966])


def test_grey_counts_as_rgb(make_image):
    grey = make_image(1, 5, 6)
    assert torch.equal(luma(grey), luma(grey.repeat(1, 3, 1, 1)))


def test_psnr_is_its_formula(make_image):
    a, b = blurred_pair(make_image)
    error = np.square((eight_bit_luma(a) - eight_bit_luma(b))[4:-4, 4:-4]).mean()
    assert psnr_y(a, b, 4) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-6)


def test_equal_pictures_have_no_error(make_image):
    image = make_image(3, 30, 30)
    assert psnr_y(image, image, 4) == math.inf
    assert ssim_y(image, image, 4) == pytest.approx(1.0)


def test_what_lies_in_the_border_does_not_count(make_image):
    a, b = blurred_pair(make_image)
    framed = a.clone()
    framed[..., :4, :] = framed[..., -4:, :] = framed[..., :4] = framed[..., -4:] = 0
    assert psnr_y(framed, b, 4) == psnr_y(a, b, 4)
    assert ssim_y(framed, b, 4) == ssim_y(a, b, 4)
    assert psnr_y(framed, b, 3) < psnr_y(a, b, 3)


def test_outputs_are_rounded_as_a_file_would(make_image):
    image = make_image(3, 20, 20)
    assert (
        psnr_y(image + 0.4 / 255 * (rounded(image) - image).sign(), rounded(image), 2) == math.inf
    )
    assert float(rounded(torch.tensor([[[[1.3, -0.2]]]])).sum()) == 1.0


def test_ssim_is_scikit_images(make_image):
    metrics = pytest.importorskip("skimage.metrics", reason="the extra `train` is not installed")
    for seed in range(3):
        a, b = blurred_pair(make_image, seed=seed)
        inner = [eight_bit_luma(each)[4:-4, 4:-4] for each in (a, b)]
        wanted = metrics.structural_similarity(
            *inner, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim_y(a, b, 4) == pytest.approx(wanted, abs=1e-7)


def test_ssim_of_known_pictures():
    """What scikit-image 0.26 gave for these two, for where it is not installed."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    a = ((x * 7 + y * 3) % 32 / 31)[None, None]
    b = ((x * 7 + y * 3 + 2) % 32 / 31)[None, None]
    assert ssim_y(a, b, 4) == pytest.approx(0.66010685, abs=1e-7)


def test_pictures_that_do_not_fit_are_told(make_image):
    with pytest.raises(InputError, match="50 x 40 and 60 x 40 pixels cannot be compared"):
        psnr_y(make_image(3, 40, 50), make_image(3, 40, 60), 4)
    with pytest.raises(InputError, match="cannot be compared with a border of 4"):
        psnr_y(make_image(3, 8, 50), make_image(3, 8, 50), 4)
    with pytest.raises(InputError, match="SSIM needs 11 x 11 pixels"):
        ssim_y(make_image(3, 18, 50), make_image(3, 18, 50), 4)


def test_a_rest_that_the_scale_left_is_cut(make_image):
    image = make_image(3, 43, 41)
    a, b = compared_luma(image[..., :40, :40], image, 4)
    assert a.shape == b.shape == (1, 1, 32, 32)
    assert torch.equal(a, b)


def test_chroma_is_bt_601():
    """White has none, and blue's and red's are the largest there are: 240 - 128."""
    colors = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    found = chroma(colors.T[None, :, :, None])[0, :, :, 0].T
    wanted = [[0.0, 0.0], [-37.797, 112.0], [-74.203, -93.786], [112.0, -18.214]]
    assert np.allclose(found, wanted, atol=2e-3)


def test_chroma_and_luma_are_told_apart(make_image):
    """A change of brightness is none of colour, and the other way round."""
    image = make_image(3, 30, 30) * 0.5 + 0.2
    brighter = image + 20 / 255
    assert psnr_chroma(brighter, image, 4) > 55 > psnr_y(brighter, image, 4)
    # along this direction Y stands still
    tinted = image + torch.tensor([0.0, -24.966, 128.553]).view(3, 1, 1) / 128.553 * 0.1
    assert psnr_y(tinted, image, 4) > 55 > psnr_chroma(tinted, image, 4)


@pytest.mark.parametrize("scale", [1, 4])
def test_blockiness_is_one_without_a_grid_and_more_with_one(scale):
    noise = torch.tensor(np.random.default_rng(0).uniform(0.2, 0.8, (1, 3, 200, 264)))
    assert blockiness(noise, scale) == pytest.approx(1, abs=0.03)
    block = 8 * scale
    y, x = (torch.arange(side) // block % 2 for side in (200, 264))
    grid = (y[:, None] + x[None, :]) % 2 * 0.3
    assert blockiness(0.5 * noise + grid, scale) > 1.5
    shifted = (0.5 * noise + grid).roll((3, 3), (2, 3))
    assert blockiness(shifted, scale) < 1


def test_flip_sees_what_differs(make_image):
    pytest.importorskip("flip_evaluator", reason="the extra `evaluate` is not installed")
    image = make_image(3, 40, 40)
    assert flip(image, image, 4) == pytest.approx(0, abs=1e-6)
    near, far = (flip((image + by).clamp(0, 1), image, 4) for by in (0.02, 0.2))
    assert 0 < near < far < 1
    assert flip(image[:, :1], image[:, :1] * 0.8, 4) > 0  # grey


def test_without_its_library_flip_is_unknown(make_image, monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    assert math.isnan(flip(make_image(3, 20, 20), make_image(3, 20, 20), 4))


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def run(capsys):
    """Run `swin2sr evaluate`: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main(["evaluate", "--device", "cpu", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def folders(tmp_path, make_image):
    """HR and LR_x2 with two pictures each."""
    (tmp_path / "HR").mkdir()
    (tmp_path / "LR").mkdir()
    for index, name in enumerate(("a", "b")):
        image, _ = blurred_pair(make_image, 49, 60, seed=index)
        pixels = (image[0].permute(1, 2, 0) * 255).byte().numpy()
        high = Image.fromarray(pixels)
        high.save(tmp_path / "HR" / f"{name}.png")
        low = high.crop((0, 0, 60, 48)).resize((30, 24), Image.Resampling.BICUBIC)
        low.save(tmp_path / "LR" / f"{name}x2.png")
    return tmp_path


@pytest.fixture
def tiny_file(make_config, make_network, tmp_path):
    """A checkpoint of a tiny x2 network."""
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, make_network(make_config()).state_dict())
    return path


def test_every_picture_and_the_mean_are_told(run, folders, tiny_file):
    options = ["--hr", folders / "HR", "--lr", folders / "LR", "--model", tiny_file, "--scale", 2]
    code, out, err = run(*options)
    assert (code, err) == (0, "")
    first, _, names, head, a, b, mean = out.splitlines()
    assert first == "PSNR and SSIM on Y, PSNR on Cb and Cr (chroma) in dB"
    assert names.split() == ["tiny", "bicubic"]
    assert head.split() == ["picture", *2 * ["PSNR", "SSIM", "chroma", "FLIP", "blocks"]]
    assert [line.split()[0] for line in (a, b, mean)] == ["a", "b", "mean"]
    _, out, _ = run(*options, "--json")
    document = json.loads(out)
    pictures = document["pictures"]
    for name in (
        "psnr",
        "ssim",
        "chroma_psnr",
        "blockiness",
        "bicubic_psnr",
        "bicubic_chroma_psnr",
    ):
        average = sum(each[name] for each in pictures) / 2
        assert document["mean"][name] == pytest.approx(average, abs=1e-5)
    assert (document["scale"], document["border"], document["precision"]) == (2, 2, "fp32")
    assert f" {pictures[0]['psnr']:.3f} " in a


def test_without_lr_pictures_are_reduced_the_same_way(run, folders, tiny_file):
    options = ["--hr", folders / "HR", "--model", tiny_file, "--scale", 2, "--json"]
    made = json.loads(run(*options)[1])
    given = json.loads(run(*options, "--lr", folders / "LR")[1])
    assert made["mean"] == given["mean"]
    assert made["pictures"][0]["lr"] is None


def test_the_figures_are_the_metrics_of_the_upscaled_file(run, folders, tiny_file, tmp_path):
    low, high = folders / "LR" / "ax2.png", folders / "HR" / "a.png"
    options = ["--model", tiny_file, "--scale", 2, "--precision", "fp32", "--device", "cpu"]
    main([*map(str, ("upscale", low, "-o", tmp_path / "out.png", *options))])

    def read(path):
        return torch.tensor(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255

    run("--hr", folders / "HR", "--model", tiny_file)  # clears what upscale printed
    options = [
        "--hr",
        high.parent,
        "--lr",
        low.parent,
        "--model",
        tiny_file,
        "--scale",
        2,
        "--json",
    ]
    found = json.loads(run(*options)[1])["pictures"][0]
    wanted = read(tmp_path / "out.png"), read(high)[..., :48, :60]
    assert found["psnr"] == pytest.approx(psnr_y(*wanted, 2), abs=1e-5)
    assert found["ssim"] == pytest.approx(ssim_y(*wanted, 2), abs=1e-5)


def test_the_degraded_set_is_the_same_anywhere(run, folders, tiny_file):
    """Clean and four strengths of photographs and drawn ones; the seed decides."""
    options = ["--hr", folders / "HR", "--drawn", 1, "--scale", 2, "--model", tiny_file, "--json"]
    documents = [json.loads(run(*options, "--degrade", seed)[1]) for seed in (1, 1, 2)]
    first, again, other = (each["pictures"] for each in documents)
    means = documents[0]["strengths"]
    assert first == again
    strengths = [each["strength"] for each in first]
    assert list(means) == ["clean", *STRENGTHS]
    severe = [each["psnr"] for each in first if each["strength"] == "severe"]
    assert means["severe"]["psnr"] == pytest.approx(np.mean(severe), abs=1e-5)
    names = [Path(each["hr"]).stem for each in first]
    assert strengths == [n for name in (None, *STRENGTHS) for n in 3 * [name]]
    assert names == 5 * ["a", "b", "drawn_0"]
    clean = {each["hr"]: each["bicubic_psnr"] for each in first if each["strength"] is None}
    for one, two in zip(first, other, strict=True):
        if one["strength"] is None and "drawn" not in one["hr"]:
            assert one == two
        if one["strength"]:
            assert one["bicubic_psnr"] < clean[one["hr"]]
        if one["strength"] == "severe":  # of the others only the subsampling is chance
            assert one != two


def test_strengths_are_told_in_rows(run, folders, tiny_file):
    options = ["--hr", folders / "HR", "--scale", 2, "--model", tiny_file, "--degrade", 1]
    code, out, _ = run(*options)
    _, _, _, head, *rows = out.splitlines()
    assert code == 0
    assert head.endswith("below bicubic")
    assert [row.split()[0] for row in rows] == ["clean", *STRENGTHS]
    assert all(row.endswith("of 2") for row in rows)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there are no originals; name a folder with --hr"),
        (["--degrade", 1], "name a folder with --hr, or some with --drawn"),
        (["--hr", "a", "--drawn", 2], "--drawn belongs to --degrade SEED"),
        (["--hr", "a", "--lr", "b", "--degrade", 1], "--degrade makes the reductions itself"),
    ],
)
def test_options_that_contradict_each_other_are_told(run, options, said):
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert said in err


def test_a_missing_reduction_is_told(run, folders, tiny_file):
    (folders / "LR" / "bx2.png").unlink()
    options = ["--hr", folders / "HR", "--lr", folders / "LR", "--scale", 2, "--model", tiny_file]
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert "has no picture for b.png: b, bx2 or b_x2 was expected" in err


def test_pictures_of_other_sizes_are_told_by_name(run, folders, tiny_file):
    Image.new("RGB", (60, 60)).save(folders / "HR" / "b.png")
    options = ["--hr", folders / "HR", "--lr", folders / "LR", "--scale", 2, "--model", tiny_file]
    code, _, err = run(*options)
    assert code == 2
    assert "b.png: pictures of 60 x 48 and 60 x 60 pixels cannot be compared" in err


def test_set5_by_bicubic_is_the_papers_figure(run, data_folder, tiny_file):
    """28.42 dB and 0.8104 by MATLAB's interpolation; Pillow rounds otherwise."""
    options = ["--hr", data_folder / "set5" / "HR", "--lr", data_folder / "set5" / "LR_x4"]
    _, out, _ = run(*options, "--model", tiny_file, "--json")
    mean = json.loads(out)["mean"]
    assert mean["bicubic_psnr"] == pytest.approx(28.43, abs=0.01)
    assert mean["bicubic_ssim"] == pytest.approx(0.8105, abs=0.001)
