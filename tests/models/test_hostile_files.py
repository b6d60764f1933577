"""Model files made to exhaust, to mislead or to run something: each has its one sentence."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from swin2sr_core.errors import CheckpointError, Swin2SRError, harmless
from swin2sr_core.models import limits
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.models.header import read_config
from swin2sr_core.models.int8_files import METADATA, compressed
from swin2sr_core.models.reader import read_contents
from swin2sr_core.network.config import infer_config


@pytest.fixture(scope="module")
def state(make_config, make_network) -> dict[str, torch.Tensor]:
    return dict(make_network(make_config()).state_dict())


def archive(path: Path, content: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", content)
        for name, body in members.items():
            file.writestr(name.replace("__", "/"), body)
    return path


def refused(path: Path) -> str:
    """The sentence of all three ways to a file; none may raise another kind of error."""
    for read in (load_checkpoint, read_config, read_contents):
        with pytest.raises(CheckpointError) as told:
            read(path)
    return str(told.value)


OPERATIONS = {
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 12 << 30) + b".",
    "call of bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x03\x85R.",
    "new object": b"\x80\x02ctorch\nTensor\n)\x81.",
    "instance": b"(itorch\nTensor\n.",
    "stack global": b"\x80\x04\x8c\x05torch\x8c\x06Tensor\x93.",
    "attributes of a name": b"\x80\x02ctorch\nTensor\n}b.",
    "another function of torch": b"\x80\x02ctorch\nload\n.",
    "an extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_only_what_a_state_dict_needs_is_read(tmp_path, case):
    assert "more than tensors" in refused(archive(tmp_path / "x.pth", OPERATIONS[case]))


def test_keys_that_would_overflow_the_stack(tmp_path):
    """The hash of tuples within tuples within ... ends the process."""
    refused(archive(tmp_path / "x.pth", b"\x80\x02})" + b"\x85" * 500_000 + b"Ns."))


def test_programs_are_refused(tmp_path):
    path = archive(tmp_path / "x.pth", pickle.dumps({}, 2), archive__constants__pkl=b"")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/constants.pkl", b"N.")
    assert "TorchScript" in refused(path)


def test_what_swells_is_not_inflated(tmp_path):
    swelling = archive(tmp_path / "x.pth", pickle.dumps({}, 2), archive__data__0=bytes(1 << 22))
    assert "swell" in refused(swelling)


def test_a_pickle_that_lies_about_its_size_is_not_inflated(tmp_path):
    """The directory says 100 bytes, the member holds a thousand times as many."""
    path = archive(tmp_path / "x.pth", b"\x80\x02" + b"}0" * 100_000 + b"}.")
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 100)
    path.write_bytes(content)
    refused(path)


def test_strides_do_not_multiply(tmp_path, state):
    """A tensor of one element told to be a large one; and one storage for all tensors."""
    one = {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}
    torch.save(one, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="exhaust memory"):
        load_checkpoint(tmp_path / "x.pth")


def test_a_tensor_lies_within_its_storage(tmp_path):
    torch.save({"conv_first.weight": torch.zeros(4, 4)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as file:
        content = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in content if name.endswith("data.pkl"))
    content[name] = content[name].replace(b"K\x04K\x04\x86", b"K\x04K\x40\x86")
    with zipfile.ZipFile(tmp_path / "y.pth", "w") as file:
        for each, body in content.items():
            file.writestr(each, body)
    assert "larger than its storage" in refused(tmp_path / "y.pth")


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_weights_are_float_numbers(tmp_path, state, dtype):
    torch.save({**state, "norm.bias": state["norm.bias"].to(dtype)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="expected float numbers"):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), "half"])
def test_scales_of_int8_are_sound(tmp_path, state, bad):
    name = "layers.0.residual_group.blocks.0.attn.proj"
    tensors = compressed(state, [name])
    step = tensors[f"{name}.weight.step"]
    tensors[f"{name}.weight.step"] = step.half() if bad == "half" else torch.full_like(step, bad)
    save_file(tensors, tmp_path / "x.safetensors", METADATA)
    with pytest.raises(CheckpointError, match="scales"):
        load_checkpoint(tmp_path / "x.safetensors")


def test_many_stages_are_one_pass():
    names = {f"layers.{i}.x": (1,) for i in range(30_000)} | {"conv_first.weight": (8, 3, 3, 3)}
    with pytest.raises(CheckpointError, match=r"four digits|at most"):
        infer_config(names)
    with pytest.raises(CheckpointError, match="four digits"):
        infer_config({f"layers.{'9' * 5000}.x": (1,), "conv_first.weight": (8, 3, 3, 3)})


@pytest.mark.parametrize("name", ["a" * 300, "a\x1b[2Jb", "a\0b", "\ud800"])
def test_names_are_short_and_printable(tmp_path, name):
    table = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(table).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    assert "\x1b" not in refused(path)


@pytest.mark.parametrize("name", ["upsample.convolution_x.weight", "upsample.convolution_0.a.b"])
def test_an_odd_name_of_transformers_is_told(tmp_path, name):
    save_file({"swin2sr.x": torch.ones(1), name: torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError):
        read_config(tmp_path / "x.safetensors")


def test_too_many_tensors_are_refused(tmp_path):
    tensors = {f"t{i}": torch.zeros(0) for i in range(limits.MOST_TENSORS + 1)}
    save_file(tensors, tmp_path / "x.safetensors")
    assert "more than 4,096 tensors" in refused(tmp_path / "x.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_pipes_and_devices_do_not_hang(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        assert "no regular file" in refused(tmp_path / f"{name}{suffix}")


LISTING = """
import sys
from pathlib import Path
from swin2sr_core.errors import CheckpointError
from swin2sr_core.models.reader import read_contents
try:
    read_contents(Path(sys.argv[1]))
except CheckpointError as error:
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(int(peak) >> 10, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_bomb_takes_no_memory(tmp_path):
    """A gigabyte of pickle in a megabyte of file."""
    path = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("archive/data.pkl", "w", force_zip64=True) as member,
    ):
        for _ in range(256):
            member.write(b"N0" * (1 << 21))
    run = [sys.executable, "-c", LISTING, str(path)]
    megabytes, _, sentence = subprocess.check_output(run, text=True).partition(" ")
    assert int(megabytes) < 200
    assert "holds more than tensors, or is damaged" in sentence


def test_texts_of_strangers_are_harmless():
    assert harmless("a\x1b]0;b\x07\x00\ud800\u202ec") == "a?]0;b???" + "?c"
    assert harmless("zwei\nZeilen, größer") == "zwei Zeilen, größer"
    assert len(harmless("x" * 10_000, 40)) == 43


def test_the_old_format_is_looked_at_too(tmp_path, state):
    buffer = io.BytesIO()
    torch.save({**state, "x": torch.Size([1])}, buffer, _use_new_zipfile_serialization=False)
    path = tmp_path / "old.pth"
    path.write_bytes(buffer.getvalue().replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"))
    with pytest.raises(Swin2SRError, match="more than tensors"):
        load_checkpoint(path)
