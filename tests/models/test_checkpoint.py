"""Model files: every honest spelling of the same weights loads; all else has its sentence."""

import hashlib
import io
import os
import random
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from swin2sr_core.errors import CheckpointError, ModelNotFoundError, Swin2SRError
from swin2sr_core.models import checkpoint
from swin2sr_core.models.checkpoint import save_checkpoint
from swin2sr_core.models.header import read_config
from swin2sr_core.network.config import Swin2SRConfig

State = dict[str, torch.Tensor]


def load_checkpoint(path: Path | str) -> tuple[Swin2SRConfig, State]:
    """What the core's gives; of every file that loads, the header tells the same config."""
    config, state = checkpoint.load_checkpoint(path)
    if Path(path).suffix == ".safetensors" or zipfile.is_zipfile(path):
        assert read_config(Path(path)) == config
    return config, state


@pytest.fixture(scope="module")
def tiny(make_config, make_network) -> tuple[Swin2SRConfig, State]:
    config = make_config()
    return config, dict(make_network(config).state_dict())


@pytest.fixture
def save(tmp_path):
    """(content, name) -> path of a file that holds it."""

    def write(content: Any, name: str = "model.pth") -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)
        else:
            torch.save(content, path)
        return path

    return write


def assert_same(state: State, expected: State) -> None:
    assert state.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(state[name], expected[name])]
    assert not different


# -- spellings of the same weights -----------------------------------------------------------------

WRAPPINGS = {
    "plain": lambda state: state,
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params_ema": state},
    "state_dict": lambda state: {"state_dict": state, "epoch": 7},
    "module": lambda state: {f"module.{name}": value for name, value in state.items()},
    "both": lambda state: {"params": {f"module.{name}": value for name, value in state.items()}},
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_and_prefixed_torch_files_load_alike(tiny, save, wrapping, suffix):
    config, state = tiny
    loaded = load_checkpoint(save(WRAPPINGS[wrapping](state), f"model{suffix}"))
    assert loaded[0] == config
    assert_same(loaded[1], state)


def test_the_average_is_preferred_to_the_last_step(tiny, save):
    """Training frameworks store both; `params_ema` is what the authors publish."""
    _, state = tiny
    zeros = {name: torch.zeros_like(value) for name, value in state.items()}
    _, loaded = load_checkpoint(save({"params": zeros, "params_ema": state}))
    assert_same(loaded, state)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_module_prefix_and_path_as_text(tiny, save, name):
    config, state = tiny
    path = save({f"module.{key}": value for key, value in state.items()}, name)
    loaded = load_checkpoint(str(path))
    assert loaded[0] == config
    assert_same(loaded[1], state)


def test_the_old_torch_format_loads(tiny, tmp_path):
    config, state = tiny
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loaded = load_checkpoint(tmp_path / "old.pth")
    assert loaded[0] == config
    assert_same(loaded[1], state)


def test_official_files_load_with_and_without_buffers(committed_golden, save):
    """The authors' files carry tables and masks of their training size; they are dropped."""
    raw, expected = committed_golden.raw, committed_golden.network
    parameters = {name for name, _ in expected.named_parameters()}
    assert raw.keys() > parameters, "this golden should come with buffers"
    without = {name: raw[name].contiguous() for name in parameters}
    for content in (raw, without):
        for name in ("model.pth", "model.safetensors"):
            config, state = load_checkpoint(save(content, name))
            assert config == expected.config
            assert_same(state, dict(expected.state_dict()))


def test_half_precision_files_become_float32(tiny, save):
    config, state = tiny
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        narrow = {name: value.to(dtype) for name, value in state.items()}
        loaded = load_checkpoint(save(narrow, "narrow.safetensors"))
        assert loaded[0] == config
        assert_same(loaded[1], {name: value.float() for name, value in narrow.items()})


def test_saving_what_was_loaded_gives_the_same_bytes(tiny_config, make_network, tmp_path):
    state = dict(make_network(tiny_config).state_dict())
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_checkpoint(first, state, tiny_config.metadata)
    config, loaded = load_checkpoint(first)
    assert config == tiny_config
    assert_same(loaded, state)
    save_checkpoint(second, loaded, config.metadata)
    assert _sha256(first) == _sha256(second)


def test_the_file_is_only_read(tiny, save):
    path = save(tiny[1])
    before = _sha256(path)
    load_checkpoint(path)
    assert _sha256(path) == before


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- transformers' names ---------------------------------------------------------------------------

_TO_TRANSFORMERS = (
    (r"^conv_first\.", "swin2sr.first_convolution."),
    (r"^patch_embed\.proj\.", "swin2sr.embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "swin2sr.embeddings.patch_embeddings.layernorm."),
    (r"^layers\.(\d+)\.residual_group\.blocks\.(\d+)\.", r"swin2sr.encoder.stages.\1.layers.\2."),
    (r"^layers\.(\d+)\.patch_embed\.proj\.", r"swin2sr.encoder.stages.\1.patch_embed.projection."),
    (r"^layers\.(\d+)\.conv\.", r"swin2sr.encoder.stages.\1.conv."),
    (r"^norm\.", "swin2sr.layernorm."),
    (r"^conv_after_body\.", "swin2sr.conv_after_body."),
    (r"\.attn\.cpb_mlp\.", ".attention.self.continuous_position_bias_mlp."),
    (r"\.attn\.logit_scale$", ".attention.self.logit_scale"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^conv_before_upsample\.0\.", "upsample.conv_before_upsample."),
    (r"^(conv_up\d|conv_hr|conv_bicubic|conv_aux|conv_after_aux)\.", r"upsample.\1."),
)


def to_transformers(config: Swin2SRConfig, state: State) -> State:
    """The same weights under the names of the transformers library, which splits q, k and v."""
    renamed: State = {}
    for name, value in state.items():
        new = name
        for pattern, replacement in _TO_TRANSFORMERS:
            new = re.sub(pattern, replacement, new)
        if name.startswith("upsample."):
            new = _transformers_shuffle(config, name)
        if name.startswith("conv_last."):
            new = ("" if config.head == "none" else "upsample.") + "final_convolution."
            new += name.removeprefix("conv_last.")
        if ".attn.qkv." in name:
            prefix = new.replace(".attn.qkv.weight", ".attention.self.")
            for part, weight in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[f"{prefix}{part}.weight"] = weight.clone()
        elif name.endswith(("q_bias", "v_bias")):
            part = "query" if name.endswith("q_bias") else "value"
            renamed[re.sub(r"\.attn\.[qv]_bias$", f".attention.self.{part}.bias", new)] = value
        else:
            renamed[new] = value
    return renamed


def _transformers_shuffle(config: Swin2SRConfig, name: str) -> str:
    _, index, kind = name.split(".")
    if config.head == "pixelshuffledirect":
        return f"upsample.conv.{kind}"
    if config.scale == 3:
        return f"upsample.upsample.convolution.{kind}"
    return f"upsample.upsample.convolution_{int(index) // 2}.{kind}"


@pytest.mark.parametrize("buffers", [False, True])
def test_transformers_names_give_the_same_weights(tiny_config, make_network, save, buffers):
    """Real transformers never write a 3conv body, but its names follow the same rule."""
    state = dict(make_network(tiny_config).state_dict())
    converted = to_transformers(tiny_config, state)
    assert converted.keys().isdisjoint(state)
    if buffers:
        prefix = "swin2sr.encoder.stages.0.layers.0.attention.self."
        converted[f"{prefix}relative_coords_table"] = torch.zeros(1, 15, 15, 2)
        converted[f"{prefix}relative_position_index"] = torch.zeros(64, 64, dtype=torch.long)
        converted["swin2sr.mean"] = torch.zeros(1, 3, 1, 1)
    for name in ("model.bin", "model.safetensors"):
        config, loaded = load_checkpoint(save(converted, name))
        assert config == replace(tiny_config, padding_mode="zeros")  # they know no other
        assert_same(loaded, state)


def test_the_real_transformers_file_is_the_official_one(data_folder):
    weights = data_folder / "weights"
    config, state = load_checkpoint(weights / "Swin2SR_Lightweight_X2_64.safetensors")
    again = load_checkpoint(weights / "swin2sr_lightweight_x2_64.transformers.bin")
    assert again[0] == config
    assert_same(again[1], state)
    assert (config.head, config.scale, config.embed_dim) == ("pixelshuffledirect", 2, 60)
    assert (config.depths, config.num_heads) == ((6, 6, 6, 6), (6, 6, 6, 6))


# -- bad files -------------------------------------------------------------------------------------


class Payload:
    """Runs code when it is unpickled: makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("old_format", [False, True])
def test_code_in_a_torch_file_never_runs(tiny, tmp_path, old_format):
    marker, path = tmp_path / "executed", tmp_path / "evil.pth"
    content = {"params": tiny[1], "extra": Payload(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointError, match="run code"):
        load_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the payload would not have run anyway: the test shows nothing"


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_told_as_such(tiny, save, name, part):
    path = save(tiny[1], name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(CheckpointError, match=re.escape(name)):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n" + bytes(99), b"{}", bytes(64)])
def test_what_is_no_model_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=re.escape(name)):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), {}, {"params": {}}, {"params": None}])
def test_a_torch_file_without_a_state_dict_is_refused(save, content):
    with pytest.raises(CheckpointError):
        load_checkpoint(save(content))


@pytest.mark.parametrize(
    ("keys", "needle"),
    [
        (["body.0.rdb1.conv1.weight", "conv_first.weight"], "ESRGAN"),
        (["model.1.sub.0.RDB1.conv1.0.weight"], "ESRGAN"),
        (
            [
                "conv_first.weight",
                "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
                "layers.0.residual_group.blocks.0.attn.qkv.bias",
            ],
            "SwinIR",
        ),
        (["model.diffusion_model.input_blocks.0.0.weight"], "Stable Diffusion"),
    ],
)
def test_other_architectures_are_named(save, keys, needle):
    content = {key: torch.ones(4, 3, 3, 3) for key in keys}
    for name in ("other.pth", "other.safetensors"):
        with pytest.raises(CheckpointError, match=needle):
            load_checkpoint(save(content, name))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named(tiny, save, bad):
    state = {name: value.clone() for name, value in tiny[1].items()}
    state["layers.1.conv.weight"][3, 2, 1, 0] = bad
    with pytest.raises(CheckpointError, match=r"layers\.1\.conv\.weight"):
        load_checkpoint(save(state))


@pytest.mark.parametrize(
    "name", ["norm.bias", "layers.0.residual_group.blocks.2.attn.v_bias", "upsample.0.bias"]
)
def test_a_missing_parameter_is_named(tiny, save, name):
    state = {key: value for key, value in tiny[1].items() if key != name}
    with pytest.raises(CheckpointError, match=re.escape(name)):
        load_checkpoint(save(state))


def test_an_unknown_parameter_is_named(tiny, save):
    with pytest.raises(CheckpointError, match="surprise"):
        load_checkpoint(save({**tiny[1], "surprise.weight": torch.ones(2)}))


def test_a_wrong_shape_is_told_with_the_right_one(tiny, save):
    state = {**tiny[1], "norm.weight": torch.ones(13)}
    with pytest.raises(CheckpointError, match=r"norm\.weight.*\(13,\).*\(12,\)"):
        load_checkpoint(save(state))


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.ckpt", "model.zip"])
def test_a_wrong_suffix_is_told_with_the_right_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="safetensors"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["nothing.pth", "nothing.safetensors", "no/folder/model.pth"])
def test_a_missing_file_is_no_damaged_file(tmp_path, name):
    with pytest.raises(ModelNotFoundError, match=re.escape(Path(name).name)):
        load_checkpoint(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ModelNotFoundError):
        load_checkpoint(tmp_path / "model.safetensors")


def _quantized(state: State) -> State:
    weight = torch.quantize_per_tensor(state["norm.weight"], 0.1, 0, torch.qint8)
    return {**state, "norm.weight": weight}


SURPRISES = {
    "no input channels": lambda state: {**state, "conv_first.weight": torch.ones(12, 0, 3, 3)},
    "no heads": lambda state: {
        **state,
        "layers.0.residual_group.blocks.0.attn.logit_scale": torch.ones(0, 1, 1),
    },
    "no tensor data": lambda state: {**state, "norm.weight": torch.ones(12, device="meta")},
    "sparse": lambda state: {**state, "norm.weight": state["norm.weight"].to_sparse()},
    "quantized": _quantized,
    "too large for float32": lambda state: {
        **state,
        "norm.weight": torch.full((12,), 1e300, dtype=torch.float64),
    },
    "half a query": lambda state: {
        **state,
        "swin2sr.encoder.stages.0.layers.0.attention.self.query.weight": torch.ones(12, 12),
    },
}


def test_keys_that_are_no_names_are_left_out(tiny, save):
    config, state = load_checkpoint(save({0: torch.ones(2), **tiny[1]}))
    assert config == tiny[0]
    assert state.keys() == tiny[1].keys()


def test_float8_weights_are_widened(tiny, save):
    narrow = {name: value.to(torch.float8_e4m3fn) for name, value in tiny[1].items()}
    _, state = load_checkpoint(save(narrow))
    assert all(torch.equal(state[name], value.float()) for name, value in narrow.items())


@pytest.mark.parametrize("surprise", SURPRISES)
def test_a_surprising_file_has_its_sentence(tiny, save, surprise):
    with pytest.raises(CheckpointError):
        load_checkpoint(save(SURPRISES[surprise](tiny[1])))


def test_flipped_bytes_raise_one_kind_of_error(tiny, tmp_path):
    """Whatever a damaged file holds, it loads as something whole or is refused with a sentence."""
    path = tmp_path / "damaged.pth"
    contents = []
    for new_format in (True, False):
        buffer = io.BytesIO()
        torch.save(
            {"norm.weight": torch.ones(12)}, buffer, _use_new_zipfile_serialization=new_format
        )
        contents.append(buffer.getvalue())
    numbers = random.Random(0)
    for _ in range(200):
        damaged = bytearray(numbers.choice(contents))
        for _ in range(numbers.choice((1, 3, 20))):
            damaged[numbers.randrange(min(len(damaged), 900))] = numbers.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(Swin2SRError):
            load_checkpoint(path)


def test_a_tensor_of_another_shape_and_the_same_count_is_told(tmp_path, make_config, make_network):
    state = dict(make_network(make_config()).state_dict())
    name = "layers.0.residual_group.blocks.0.mlp.fc1.weight"
    state[name] = state[name].t().contiguous()
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "x.safetensors")
    square = "layers.0.residual_group.blocks.0.attn.proj.bias"
    state[name] = state[name].t().contiguous()
    state[square] = state[square].reshape(1, -1)
    save_file(state, tmp_path / "y.safetensors")
    with pytest.raises(CheckpointError, match="has shape"):
        load_checkpoint(tmp_path / "y.safetensors")
