"""Fixtures that the tests of the core share: test data, tiny random networks, goldens."""

import json
import math
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

# One thread, here and in the processes that tests start: on tensors this small a second one costs
# more than it gives, and on a busy machine each of its barriers waits for the scheduler.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Which kernel runs may not depend on whether this checkout has a compiled one: tests that want it
# ask for it. With SWIN2SR_KERNELS=auto all tests run with what is there.
os.environ.setdefault("SWIN2SR_KERNELS", "reference")

# Triton asks for this as it is imported: kernels for graphics cards are interpreted here.
os.environ.setdefault("TRITON_INTERPRET", "1")

import pytest
import torch
from hypothesis import settings
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from swin2sr_core.models.checkpoint import load_checkpoint, official_names
from swin2sr_core.models.model import Model
from swin2sr_core.network.config import Swin2SRConfig, infer_config
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.prepared.fold import fold
from swin2sr_core.prepared.folded import FoldedNetwork
from swin2sr_core.prepared.precision import blocks_of

HERE = Path(__file__).resolve().parent
CPU = torch.device("cpu")

# No timed assertions: a busy machine must not fail a law.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

COMMITTED = (
    "nearest_conv_x4",
    "nearest_conv_x4_3conv",
    "pixelshuffle_aux_x4",
    "pixelshuffle_x2",
    "pixelshuffledirect_x2",
    "pixelshuffledirect_x4",
    "restore_color_w7",
    "restore_gray_w7",
)
EXTERNAL = ("pixelshuffle_x3", "pixelshuffle_x4", "official_lightweight_x2")

TINY = Swin2SRConfig(
    in_channels=3,
    embed_dim=12,
    depths=(3, 2),
    num_heads=(2, 3),
    window=8,
    mlp_dim=24,
    scale=2,
    head="pixelshuffledirect",
    residual="1conv",
    img_range=1.0,
)

# Every head and residual, by a name that a test id can show.
TINY_HEADS = {
    "pixelshuffle-x2": replace(TINY, head="pixelshuffle"),
    "pixelshuffle-x3": replace(TINY, head="pixelshuffle", scale=3),
    "pixelshuffle-x4": replace(TINY, head="pixelshuffle", scale=4),
    "direct-x2": TINY,
    "direct-x4": replace(TINY, scale=4),
    "direct-x4-replicate": replace(TINY, scale=4, padding_mode="replicate"),
    "nearest-x4": replace(TINY, head="nearest+conv", scale=4),
    "nearest-x4-3conv": replace(TINY, head="nearest+conv", scale=4, residual="3conv"),
    "aux-x4": replace(TINY, head="pixelshuffle_aux", scale=4),
    "restore-color": replace(TINY, head="none", scale=1, window=7, img_range=255.0),
    "restore-gray": replace(TINY, head="none", scale=1, window=7, img_range=255.0, in_channels=1),
}


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory):
    """Temporary files go there, also those of processes that tests kill, and nothing is left."""
    folder = str(tmp_path_factory.mktemp("system"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def torch_left_as_found():
    """Neither the tests nor the code under test may change how torch computes."""
    before = torch_settings()
    yield
    assert torch_settings() == before


def torch_settings() -> tuple:
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.mkldnn.enabled,
    )


@pytest.fixture(scope="session")
def settings_of_torch():
    """Everything global that decides how torch computes, as a value to compare."""
    return torch_settings


def find_data() -> Path | None:
    named = os.environ.get("SWIN2SR_TEST_DATA")
    folder = Path(named) if named else HERE.parent.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of test data that is too large, or not free enough, to be committed."""
    folder = find_data()
    if folder is None:
        pytest.skip("no test data: set SWIN2SR_TEST_DATA, or put it into ../shared/data")
    return folder


# -- networks --------------------------------------------------------------------------------------


def random_network(config: Swin2SRConfig, seed: int = 0) -> Swin2SR:
    """A network whose every parameter matters: no zero biases, no norms of ones."""
    generator = torch.Generator().manual_seed(seed)
    network = Swin2SR(config).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        parameter.normal_(generator=generator)
        if name.endswith("logit_scale"):
            parameter.mul_(0.5).add_(math.log(10))
        elif "norm" in name:
            parameter.mul_(0.1).add_(0.5 if name.endswith("weight") else 0.0)
        elif parameter.dim() > 1:
            parameter.mul_(parameter[0].numel() ** -0.5)
        else:
            parameter.mul_(0.1)
    return network


@pytest.fixture(scope="session")
def tiny_configs() -> dict[str, Swin2SRConfig]:
    """A tiny config for every head and residual."""
    return dict(TINY_HEADS)


@pytest.fixture(params=TINY_HEADS)
def tiny_config(request) -> Swin2SRConfig:
    """Runs the test once with a tiny config of every head and residual."""
    return TINY_HEADS[request.param]


@pytest.fixture(scope="session")
def make_config():
    """(**changes) -> a tiny config: lightweight x2, two stages, with these fields changed."""
    return lambda **changes: replace(TINY, **changes)


@pytest.fixture(scope="session")
def make_network():
    """(config, seed) -> a random network, the same for the same arguments."""
    return random_network


@pytest.fixture
def overflowing(make_config, make_network):
    """(log2 of a factor, of the stream's growth) -> a network whose values leave fp16's range.

    Its branches are that much larger before their norms, which take it away again; what the norms
    let through grows the residual stream, as the official weights do up to 1500.
    """

    def make(branch: int, growth: int = 0):
        network = make_network(make_config())
        for _, block in blocks_of(network):
            for layer in (block.attn.proj, block.mlp.fc2):
                layer.weight.mul_(2.0**branch)
                layer.bias.mul_(2.0**branch)
            for norm in (block.norm1, block.norm2):
                norm.weight.mul_(2.0**growth)
        return network

    return make


@pytest.fixture(scope="session")
def make_model():
    """(network, precision, device) -> the network as a loaded model."""

    def make(network: Swin2SR, precision: str = "fp32", device: str = "cpu") -> Model:
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        return Model("tiny", network.config, precision, fold(network, dtype, torch.device(device)))

    return make


@pytest.fixture(scope="session")
def make_image():
    """(channels, height, width, batch, seed) -> B C H W of noise in 0..1, the same for the same."""

    def make(channels: int, height: int, width: int, batch: int = 1, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(batch, channels, height, width, generator=generator)

    return make


@pytest.fixture
def reference_kernel(monkeypatch):
    """Blocks in PyTorch, for what counts its tensors: fused kernels take less, outside of torch."""
    monkeypatch.setenv("SWIN2SR_KERNELS", "reference")


# -- goldens ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Golden:
    """What the official network computed; `arguments` are its constructor's, where known."""

    name: str
    arguments: dict
    raw: dict[str, Tensor]
    network: Swin2SR
    folded: FoldedNetwork
    pairs: tuple[tuple[Tensor, Tensor], ...]


_goldens: dict[str, Golden] = {}


def read_golden(name: str) -> Golden:
    if name in _goldens:
        return _goldens[name]
    folder = HERE / "goldens" if name in COMMITTED else _external("goldens")
    path = folder / f"{name}.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        arguments = json.loads((file.metadata() or {}).get("config", "{}"))
    if name.startswith("official"):
        weights = _external("weights") / "Swin2SR_Lightweight_X2_64.safetensors"
        raw = load_file(weights)
        config, state = load_checkpoint(weights)
    else:
        raw = {k.removeprefix("weights."): v for k, v in tensors.items() if k[:8] == "weights."}
        state = official_names(raw)
        config = infer_config({k: tuple(v.shape) for k, v in state.items()})
    network = Swin2SR(config).eval().requires_grad_(False)
    network.load_state_dict(state)
    count = sum(key.startswith("input.") for key in tensors)
    pairs = tuple((tensors[f"input.{i}"], tensors[f"output.{i}"]) for i in range(count))
    folded = fold(network, torch.float32, CPU)
    _goldens[name] = Golden(name, arguments, raw, network, folded, pairs)
    return _goldens[name]


def _external(folder: str) -> Path:
    data = find_data()
    if data is None:
        pytest.skip("no test data: set SWIN2SR_TEST_DATA, or put it into ../shared/data")
    return data / folder


@pytest.fixture(params=COMMITTED + EXTERNAL)
def golden(request) -> Golden:
    """Runs the test once with each golden; those that are not committed need the test data."""
    return read_golden(request.param)


@pytest.fixture(params=COMMITTED)
def committed_golden(request) -> Golden:
    """Runs the test once with each golden of this repository: random weights, one per head."""
    return read_golden(request.param)
