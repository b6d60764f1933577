"""Our model in other nodes: every call that published packs make on a descriptor."""

import copy

import pytest
import torch

CALLS = {
    "to(device, dtype=)": lambda m: m.to(torch.device("cpu"), dtype=torch.float16),
    "to(dtype)": lambda m: m.to(torch.float16),
    "half": lambda m: m.half(),
    "float": lambda m: m.float(),
    "bfloat16": lambda m: m.bfloat16(),
    "eval": lambda m: m.eval(),
    "train": lambda m: m.train(False),
    "cpu": lambda m: m.cpu(),
    "model.to": lambda m: m.model.to(torch.float16) and m,
    "model.to(device)": lambda m: m.model.to("cpu") and m,
    "model.half": lambda m: m.model.half() and m,
    "model.float": lambda m: m.model.float() and m,
    "model.eval": lambda m: m.model.eval() and m,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_whatever_is_asked_of_it_the_picture_stays_the_same(compact, call):
    image = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    before = compact(image)
    after = call(compact)
    assert torch.equal(after(image), before)
    assert torch.equal(compact(image), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_pictures_of_any_float_type_come_back_in_theirs(compact, dtype):
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    result = compact.half()(image)
    assert result.dtype == dtype and result.shape == (2, 3, 32, 32)
    expected = compact(image.float())
    assert (result.float() - expected).abs().max() < 0.01
    assert torch.equal(compact.model(image), result)


def test_what_it_tells_of_itself(compact):
    assert (compact.architecture.id, compact.architecture.name) == ("Swin2SR", "Swin2SR")
    assert (compact.scale, compact.input_channels, compact.output_channels) == (4, 3, 3)
    assert compact.supports_half and compact.supports_bfloat16
    assert compact.purpose == "SR" and "60dim" in compact.tags
    assert compact.device.type == "cpu" and compact.dtype == torch.float32
    sizes = compact.size_requirements
    assert (sizes.minimum, sizes.multiple_of, sizes.square) == (0, 1, False)
    assert sizes.check(7, 9) and sizes.get_padding(7, 9) == (0, 0)
    assert compact.tiling.name == "SUPPORTED"


def test_its_module_has_parameters(compact):
    parameter = next(compact.model.parameters())
    assert (parameter.device.type, parameter.dtype) == ("cpu", torch.float32)
    assert len(compact.model.state_dict()) > 100
    assert not any(each.requires_grad for each in compact.model.parameters())


def test_a_copy_is_a_model_of_its_own(compact):
    twin = copy.deepcopy(compact)
    assert twin.model is not compact.model and twin.patcher is not compact.patcher
    ours = {each.data_ptr() for each in compact.model.parameters()}
    assert not ours & {each.data_ptr() for each in twin.model.parameters()}


def test_it_passes_for_spandrels_descriptor(compact, pack):
    kind = type(compact)
    assert isinstance(compact, kind) and kind is pack("nodes.managed").UpscaleModel
    spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")
    assert isinstance(compact, spandrel.ImageModelDescriptor)
    assert isinstance(compact.size_requirements, spandrel.SizeRequirements)
    assert compact.tiling is spandrel.ModelTiling.SUPPORTED
    assert isinstance(compact, kind), "still ours"
