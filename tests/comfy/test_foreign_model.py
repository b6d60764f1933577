"""Swin2SR models that "Load Upscale Model" has loaded run in our node; others are told so."""

import gc
import weakref
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file


@pytest.fixture
def descriptor(pack):
    """The bundled model as spandrel would give it: a module, and the id of its architecture."""
    path = pack("swin2sr_core.models.catalog").locate(
        pack("swin2sr_core.models.catalog").CATALOG[0]
    )
    state = load_file(path)
    config = pack("swin2sr_core.network.config").infer_config(
        {k: tuple(v.shape) for k, v in state.items()}
    )
    network = pack("swin2sr_core.network.network").Swin2SR(config)
    network.load_state_dict(state)
    return SimpleNamespace(model=network, architecture=SimpleNamespace(id="Swin2SR"), scale=4)


def test_it_makes_what_our_own_loader_makes(descriptor, load, upscale, make_picture):
    image = make_picture(16, 16)
    expected, _ = upscale(image, load(precision="auto"))
    result, _ = upscale(image, descriptor)
    assert torch.equal(result, expected)


def test_it_is_prepared_once_and_freed_with_its_owner(descriptor, pack, upscale, make_picture):
    foreign = pack("nodes.foreign_model")
    first = foreign.as_swin2sr(descriptor)
    assert foreign.as_swin2sr(descriptor) is first
    ours = weakref.ref(first.model)
    del first, descriptor.model
    gc.collect()
    assert ours() is None


def test_other_architectures_are_told(descriptor, pack, upscale, make_picture):
    descriptor.architecture.id = "ESRGAN"
    errors = pack("swin2sr_core.errors")
    with pytest.raises(errors.CheckpointError, match="architecture ESRGAN, and only Swin2SR"):
        upscale(make_picture(8, 8), descriptor)


def test_what_is_no_model_is_told(pack, upscale, make_picture):
    errors = pack("swin2sr_core.errors")
    with pytest.raises(errors.CheckpointError, match="model is a str, expected a Swin2SR"):
        upscale(make_picture(8, 8), "a string")
