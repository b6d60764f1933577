"""Inside a real ComfyUI: its executor, its cache, its own upscaling nodes, its cancel button."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file


@pytest.fixture(scope="module", autouse=True)
def real(host):
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")


@pytest.fixture
def picture(base: Path):
    """(name, height, width, mode) -> that picture in ComfyUI's input folder."""

    def make(name="in.png", height=24, width=40, mode="RGB"):
        channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
        noise = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(noise.squeeze(-1) if mode == "L" else noise, mode).save(
            base / "input" / name
        )
        return name

    return make


def workflow(image, model="compact-x4", **widgets):
    """Load Image, Load Swin2SR, Tiled Upscale x4, Save Image."""
    defaults = {
        "scale": 4.0,
        "longest_side": 0,
        "sharpen": 0.0,
        "edge": "reflect",
        "strategy": "auto",
        "tile_size": 0,
        "overlap": 0,
        "max_memory": 0.0,
    }
    upscale = {"image": ["1", 0], "model": ["2", 0], **defaults, **widgets}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "Swin2SR_Load", "inputs": {"model": model, "precision": "fp32"}},
        "3": {"class_type": "Swin2SR_TiledUpscale", "inputs": upscale},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "t"}},
    }


def saved(base: Path, result) -> np.ndarray:
    (entry,) = result.outputs["4"]["images"]
    with Image.open(base / "output" / entry["subfolder"] / entry["filename"]) as image:
        return np.asarray(image)


def test_a_picture_comes_out_as_the_core_makes_it(queue, picture, base, compact, pack):
    name = picture()
    result = queue(workflow(name))
    assert result.status == "execution_success"
    with Image.open(base / "input" / name) as image:
        pixels = torch.from_numpy(np.asarray(image) / np.float32(255))
    core = pack("swin2sr_core")
    expected = core.upscale(compact.core, pixels.movedim(-1, 0)[None].contiguous()).image[0]
    # Save Image cuts the fraction off; everyone else rounds.
    expected = (255.0 * expected.movedim(0, -1).numpy()).clip(0, 255).astype(np.uint8)
    assert np.array_equal(saved(base, result), expected)


# Load Image of 0.33 refuses grey pictures whose width is no multiple of 32.
@pytest.mark.parametrize(
    ("height", "width", "mode"), [(1, 1, "RGB"), (7, 32, "L"), (9, 7, "RGBA"), (103, 60, "RGB")]
)
def test_pictures_of_every_kind(height, width, mode, queue, picture, base):
    result = queue(workflow(picture(f"{mode}.png", height, width, mode)))
    assert result.status == "execution_success", result.error
    assert saved(base, result).shape == (4 * height, 4 * width, 3)


def test_the_mask_of_load_image_becomes_alpha(queue, picture, base):
    result = queue(workflow(picture("alpha.png", 9, 7, "RGBA"), mask=["1", 1]))
    assert result.status == "execution_success", result.error
    assert saved(base, result).shape == (36, 28, 4)


def test_a_second_run_runs_nothing_again(queue, picture, put_model):
    put_model("cached.safetensors", scale=4)
    flow = workflow(picture("cached.png"), "cached.safetensors")
    assert queue(flow).ran == set(flow)
    assert queue(flow).ran == set()
    time.sleep(0.01)
    put_model("cached.safetensors", scale=4, seed=5)
    assert queue(flow).ran == {"2", "3", "4"}


def test_free_lets_go_of_everything(queue, ask, picture, put_model):
    """The page's button: unload all models, and forget what the nodes made."""

    def kept():
        return {k: v for k, v in ask("/kept_models")[1].items() if "freed" in k}

    put_model("freed.safetensors", scale=4)
    queue(workflow(picture("freed.png"), "freed.safetensors"))
    assert list(kept().values()) == [True], "in memory, and known to ComfyUI"
    ask("/free", {"unload_models": True, "free_memory": True})
    for _ in range(600):
        if not kept():
            return
        time.sleep(0.05)
    assert kept() == {}


def test_another_setting_keeps_the_model(queue, picture):
    flow = workflow(picture("kept.png"))
    queue(flow)
    flow["3"]["inputs"]["scale"] = 2.0
    assert queue(flow).ran == {"3", "4"}


def test_a_model_that_is_gone_is_told_before_anything_runs(queue, picture, put_model):
    path = put_model("deleted.safetensors")
    flow = workflow(picture(), "deleted.safetensors")
    assert queue(flow).status == "execution_success"
    path.unlink()
    result = queue(flow)
    assert result.status == "refused"
    assert "there is no model file deleted.safetensors" in result.error


def test_errors_are_one_sentence_on_the_node(queue, picture):
    result = queue(workflow(picture(), max_memory=0.0001))
    assert (result.status, result.node) == ("execution_error", "3")
    assert "smallest budget that works" in result.error
    assert "\n" not in result.error


def test_cancelling_a_long_run(queue, ask, picture):
    name = picture("large.png", 700, 700)
    pressed = []

    def press():
        pressed.append(time.monotonic())
        ask("/interrupt", {})

    threading.Timer(1.0, press).start()
    result = queue(workflow(name))
    returned = time.monotonic()
    assert result.status == "execution_interrupted"
    # Two seconds is the promise; a test on a busy machine allows for more.
    assert returned - pressed[0] < 10
    assert queue(workflow(picture("small.png", 8, 8))).status == "execution_success"


# -- ComfyUI's own loader and upscaler -----------------------------------------------------------


@pytest.fixture
def official(base: Path):
    """A Swin2SR file as spandrel wants it: with the buffers that the authors' files have."""
    from spandrel.architectures.Swin2SR import Swin2SR  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    size = {"img_size": 64, "window_size": 8, "embed_dim": 60, "depths": [2], "num_heads": [6]}
    head = {"mlp_ratio": 2, "upscale": 2, "img_range": 1.0, "upsampler": "pixelshuffledirect"}
    path = base / "models" / "upscale_models" / "official_x2.safetensors"
    save_file(Swin2SR(**size, **head).state_dict(), path)
    yield path
    path.unlink()


def with_their_loader(flow, name):
    loader = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": name}}
    return {**flow, "2": loader}


def test_load_upscale_model_can_feed_our_node(queue, picture, official, base):
    name = picture("theirs.png", 16, 16)
    ours = queue(workflow(name, official.name))
    assert ours.status == "execution_success", ours.error
    theirs = queue(with_their_loader(workflow(name), official.name))
    assert theirs.status == "execution_success", theirs.error
    difference = saved(base, ours).astype(int) - saved(base, theirs)
    assert np.abs(difference).max() <= 3, "fp32 against the precision of this machine"


def test_our_model_runs_in_upscale_image_using_model(queue, picture, base):
    flow = workflow(picture("given.png", 16, 16))
    expected = saved(base, queue(flow))
    inputs = {"upscale_model": ["2", 0], "image": ["1", 0]}
    flow["3"] = {"class_type": "ImageUpscaleWithModel", "inputs": inputs}
    result = queue(flow)
    assert result.status == "execution_success", result.error
    assert np.abs(saved(base, result).astype(int) - expected).max() <= 1


def test_another_architecture_is_told(queue, picture, base):
    from spandrel.architectures.ESRGAN import ESRGAN  # pyright: ignore[reportMissingImports]

    path = base / "models" / "upscale_models" / "esrgan.pth"
    torch.save(ESRGAN(num_blocks=1, num_filters=8).state_dict(), path)
    try:
        result = queue(with_their_loader(workflow(picture()), path.name))
        assert (result.status, result.node) == ("execution_error", "3")
        assert "architecture ESRGAN, and only Swin2SR runs here" in result.error
    finally:
        path.unlink()
