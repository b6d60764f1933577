"""What a run starts with: interpolation, a checkpoint, or an x2 body under an x4 head."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from swin2sr_core.errors import InputError
from swin2sr_core.models.checkpoint import load_checkpoint, save_checkpoint
from training.config import TrainingConfig
from training.start import bilinear_kernels, enlarged_head, new_network, starting_network


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_new_network_is_nearly_bilinear_interpolation(make_config, make_image):
    network = new_network(make_config(scale=4), seeded())
    image = F.interpolate(make_image(3, 4, 4), size=(24, 24), mode="bicubic").clamp(0, 1)
    wanted = F.interpolate(image, scale_factor=4, mode="bilinear")
    with torch.no_grad():
        found = network(image)
        inner = (..., slice(4, -4), slice(4, -4))  # zero padding differs at the edge
        error = float((found - wanted)[inner].square().mean())
    assert error < 0.2 * float((wanted - wanted.mean())[inner].square().mean())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bilinear_kernels_interpolate(scale, make_image):
    image = make_image(1, 6, 7)
    kernels = bilinear_kernels(scale).reshape(scale**2, 1, 3, 3)
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    found = F.pixel_shuffle(F.conv2d(padded, kernels), scale)
    torch.testing.assert_close(found, F.interpolate(image, scale_factor=scale, mode="bilinear"))


def test_the_same_seed_gives_the_same_network(make_config):
    a, b, c = (new_network(make_config(), seeded(s)).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["conv_first.weight"], c["conv_first.weight"])


def test_a_start_by_path_has_the_files_weights(make_config, make_network, tmp_path):
    network = make_network(make_config())
    save_checkpoint(tmp_path / "a.safetensors", network.state_dict())
    config = TrainingConfig(start=str(tmp_path / "a.safetensors"), network=make_config())
    found = starting_network(config).state_dict()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())


def test_from_x2_to_x4_the_start_is_the_x2_picture_with_larger_pixels(
    make_config, make_network, make_image, tmp_path
):
    small = make_network(make_config())
    save_checkpoint(tmp_path / "x2.safetensors", small.state_dict())
    wanted = make_config(scale=4)
    large = starting_network(TrainingConfig(str(tmp_path / "x2.safetensors"), wanted))
    image = make_image(3, 16, 24)
    with torch.no_grad():
        expected = F.interpolate(small(image), scale_factor=2, mode="nearest")
        torch.testing.assert_close(large(image), expected)
    assert large.config == wanted


def test_the_enlarged_head_is_in_pixel_shuffles_order():
    weight = torch.arange(12.0).view(12, 1, 1)
    shuffled = F.pixel_shuffle(weight[None], 2)
    enlarged = F.pixel_shuffle(enlarged_head(weight, 3, 2, 4)[None], 4)
    assert torch.equal(enlarged, F.interpolate(shuffled, scale_factor=2, mode="nearest"))


def test_another_head_gets_the_body_and_a_new_head(make_config, make_network, tmp_path):
    old = make_network(make_config())
    save_checkpoint(tmp_path / "x2.safetensors", old.state_dict())
    wanted = make_config(head="pixelshuffle", scale=4)
    network = starting_network(TrainingConfig(str(tmp_path / "x2.safetensors"), wanted))
    assert torch.equal(network.state_dict()["norm.weight"], old.state_dict()["norm.weight"])
    assert network.config == wanted


@pytest.mark.parametrize(
    "change", [{"embed_dim": 24}, {"depths": (3,), "num_heads": (2,)}, {"depths": (4, 2)}]
)
def test_another_body_is_refused(change, make_config, make_network, tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", make_network(make_config()).state_dict())
    with pytest.raises(InputError, match="only the scale and the head can differ"):
        starting_network(TrainingConfig(str(tmp_path / "a.safetensors"), make_config(**change)))


def test_the_official_x2_body_fits_under_an_x4_head(data_folder):
    path = data_folder / "weights" / "Swin2SR_Lightweight_X2_64.safetensors"
    wanted = replace(load_checkpoint(path)[0], scale=4)
    assert starting_network(TrainingConfig(str(path), wanted)).config == wanted
