"""Configs from shapes: every head is recognised, and nothing but `CheckpointError` is raised."""

import json
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swin2sr_core.errors import CheckpointError
from swin2sr_core.network.config import Swin2SRConfig, infer_config
from swin2sr_core.network.network import Swin2SR


def shapes_of(config: Swin2SRConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(p.shape) for name, p in Swin2SR(config).named_parameters()}


TINY = Swin2SRConfig(3, 12, (2,), (2,), 8, 24, 2, "pixelshuffledirect", "1conv", 1.0)
TINY_SHAPES = shapes_of(TINY)


def test_a_network_tells_its_own_config(tiny_config):
    assert infer_config(shapes_of(tiny_config), tiny_config.metadata) == tiny_config


def test_an_unknown_padding_has_its_sentence():
    with pytest.raises(CheckpointError, match=r"pad with 'circular'.*zeros, replicate"):
        infer_config(TINY_SHAPES, {"padding_mode": "circular"})


@pytest.mark.parametrize(
    "changes",
    [
        {"embed_dim": 180, "depths": (6,) * 6, "num_heads": (6,) * 6, "mlp_dim": 360},
        {"depths": (1, 4, 2), "num_heads": (1, 3, 4)},
        {"mlp_dim": 7},
        {"depths": (2,) * 11, "num_heads": (2,) * 11},
        {"in_channels": 1},
        {"scale": 3},
        {"head": "pixelshuffle", "scale": 8},
        {"head": "nearest+conv", "scale": 4, "residual": "3conv"},
    ],
    ids=str,
)
def test_every_hyper_parameter_is_read(make_config, changes):
    config = make_config(**changes)
    assert infer_config(shapes_of(config)) == config


def test_the_official_arguments_are_found(golden):
    """What the official constructor was given is what the shapes of its parameters say."""
    if not golden.arguments:
        pytest.skip("this golden does not come with the constructor's arguments")
    given, config = golden.arguments, golden.network.config
    assert config.in_channels == given["in_chans"]
    assert config.embed_dim == given["embed_dim"]
    assert list(config.depths) == given["depths"]
    assert list(config.num_heads) == given["num_heads"]
    assert config.window == given["window_size"]
    assert config.mlp_dim == given["embed_dim"] * given["mlp_ratio"]
    assert config.scale == given["upscale"]
    assert config.head == (given["upsampler"] or "none")
    assert config.residual == given["resi_connection"]
    assert config.img_range == given["img_range"]


def test_buffers_are_never_looked_at():
    """Converted files have none, and those of other sizes must not lead astray."""
    misleading = {
        "layers.0.residual_group.blocks.1.attn_mask": (4, 49, 49),
        "layers.0.residual_group.blocks.0.attn.relative_position_index": (49, 49),
        "mean": (1, 1, 1, 1),
    }
    assert infer_config({**TINY_SHAPES, **misleading}) == TINY


@pytest.mark.parametrize(
    ("name", "needle"),
    [
        ("conv_first.weight", "conv_first.weight"),
        ("layers.0.residual_group.blocks.0.attn.logit_scale", "logit_scale"),
        ("layers.0.residual_group.blocks.0.mlp.fc1.weight", "fc1"),
        ("upsample.0.weight", "head"),
    ],
)
def test_what_decides_and_is_missing_is_named(name, needle):
    shapes = {k: v for k, v in TINY_SHAPES.items() if k != name}
    with pytest.raises(CheckpointError, match=needle):
        infer_config(shapes)


def test_a_gap_in_the_stages_is_refused(make_config):
    shapes = shapes_of(make_config(depths=(1, 1, 1), num_heads=(2, 2, 2)))
    gap = {k: v for k, v in shapes.items() if not k.startswith("layers.1.")}
    with pytest.raises(CheckpointError, match="gaps"):
        infer_config(gap)


def test_no_stages_is_no_swin2sr():
    with pytest.raises(CheckpointError, match="Swin2SR"):
        infer_config({"conv_first.weight": (12, 3, 3, 3)})
    with pytest.raises(CheckpointError, match="conv_first"):
        infer_config({})


def test_heads_that_do_not_divide_the_embedding_are_refused():
    name = "layers.0.residual_group.blocks.0.attn.logit_scale"
    with pytest.raises(CheckpointError, match="divide"):
        infer_config({**TINY_SHAPES, name: (5, 1, 1)})


def test_the_unsupported_head_is_named():
    with pytest.raises(CheckpointError, match="pixelshuffle_hf"):
        infer_config({**TINY_SHAPES, "conv_after_body_hf.weight": (12, 12, 3, 3)})


def test_a_shuffle_that_is_no_square_is_refused():
    with pytest.raises(CheckpointError, match="square"):
        infer_config({**TINY_SHAPES, "upsample.0.weight": (15, 12, 3, 3)})


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(TINY_SHAPES)),
    shape=st.lists(st.integers(1, 70), max_size=5).map(tuple),
)
def test_any_shape_gives_a_config_or_one_kind_of_error(name, shape):
    try:
        config = infer_config({**TINY_SHAPES, name: shape})
    except CheckpointError as error:
        assert str(error)
    else:
        assert config.scale >= 1
        assert all(config.embed_dim % heads == 0 for heads in config.num_heads)


def test_a_config_is_a_value(make_config):
    config = make_config()
    assert config == make_config() and hash(config) == hash(make_config())
    assert config != make_config(scale=4)
    with pytest.raises(FrozenInstanceError):
        config.scale = 4
    assert json.loads(json.dumps(vars(config)))["embed_dim"] == 12


@pytest.mark.parametrize(("window", "shift"), [(8, 4), (7, 3)])
def test_the_shift_is_half_a_window(make_config, window, shift):
    assert make_config(window=window).shift == shift
