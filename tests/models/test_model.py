"""Loading: by name, by path, in any precision; what a loaded model says of itself."""

from dataclasses import FrozenInstanceError

import pytest
import torch

import swin2sr_core as s2
from swin2sr_core.models.checkpoint import save_checkpoint


@pytest.fixture
def tiny(make_config, make_network, tmp_path):
    """A tiny network in files of two formats."""
    network = make_network(make_config())
    save_checkpoint(tmp_path / "tiny.safetensors", dict(network.state_dict()))
    torch.save({"params": network.state_dict()}, tmp_path / "tiny.x2.pth")
    return network


def test_the_bundled_model_is_the_default():
    model = s2.load_model(precision="fp32")
    assert model.name == "compact-x4"
    assert (model.scale, model.config.scale, model.precision) == (4, 4, "fp32")
    assert model.device == torch.device("cpu")
    with pytest.raises(FrozenInstanceError):
        model.name = "other"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("file", "name"), [("tiny.safetensors", "tiny"), ("tiny.x2.pth", "tiny.x2")]
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_is_loaded_by_its_path(tiny, tmp_path, make_image, file, name, as_text):
    path = str(tmp_path / file) if as_text else tmp_path / file
    model = s2.load_model(path, "fp32")
    assert (model.name, model.config) == (name, tiny.config)
    image = make_image(3, 9, 11)
    expected = tiny(image).clamp(0, 1)
    assert (s2.upscale(model, image, 2).image - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_is_built_from_parameters_of_any_float_type(tiny, make_image, dtype):
    state = {name: value.to(dtype) for name, value in tiny.state_dict().items()}
    model = s2.build_model("mine", tiny.config, state, "fp32", torch.device("cpu"))
    rounded = type(tiny)(tiny.config).eval().requires_grad_(False)
    rounded.load_state_dict({name: value.float() for name, value in state.items()})
    image = make_image(3, 8, 8)
    assert model.name == "mine"
    difference = s2.upscale(model, image, 2).image - rounded(image).clamp(0, 1)
    assert difference.abs().max() <= 1e-5
    assert all(value.dtype == dtype for value in state.values())


def test_the_precision_is_what_is_computed_in(tiny, tmp_path, make_image):
    image = make_image(3, 16, 16)
    models = [s2.load_model(tmp_path / "tiny.safetensors", each) for each in ("fp32", "bf16")]
    assert [model.precision for model in models] == ["fp32", "bf16"]
    exact, narrow = (s2.upscale(model, image, 2).image for model in models)
    assert narrow.dtype == torch.float32
    assert 1e-6 < (exact - narrow).square().mean().sqrt() < 0.02


def test_auto_chooses_one_of_them():
    assert s2.load_model(precision="auto").precision in ("fp32", "bf16")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(s2.ModelNotFoundError, match="nothing"):
        s2.load_model(tmp_path / "nothing.pth")
    with pytest.raises(s2.ModelNotFoundError, match="compact-x5"):
        s2.load_model("compact-x5")
    with pytest.raises(s2.InputError, match="int3"):
        s2.load_model(precision="int3")
    with pytest.raises(s2.InputError, match="abacus"):
        s2.load_model(device="abacus")


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    with pytest.raises(s2.CheckpointError, match=r"damaged\.pth"):
        s2.load_model(tmp_path / "damaged.pth")
