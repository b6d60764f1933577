"""A config from a file's header: as loading tells it (see test_checkpoint), or one sentence."""

import io
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from swin2sr_core.errors import CheckpointError
from swin2sr_core.models.catalog import CATALOG, find_entry
from swin2sr_core.models.header import published_config, read_config


@pytest.fixture(scope="module")
def state(make_config, make_network) -> dict[str, torch.Tensor]:
    return dict(make_network(make_config()).state_dict())


@pytest.fixture(params=["model.pth", "model.safetensors"])
def path(request, tmp_path, state) -> Path:
    """A whole file of either kind."""
    path = tmp_path / request.param
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def archive(path: Path, content: bytes, name: str = "archive/data.pkl") -> Path:
    """A file like torch's, with this pickle in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


class Payload:
    """Runs code when it is unpickled: makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_parameters_are_tensors_too(tmp_path, state, make_config):
    """Files of whole modules hold Parameters, some with attributes of their own."""
    parameters = {name: torch.nn.Parameter(value) for name, value in state.items()}
    vars(parameters["norm.bias"])["note"] = "an attribute"
    torch.save(parameters, tmp_path / "model.pth")
    assert read_config(tmp_path / "model.pth") == make_config()


def test_a_file_that_changed_is_read_again(path, make_config, make_network):
    assert read_config(path).depths == (3, 2)
    other = make_config(depths=(2, 2))
    state = dict(make_network(other).state_dict())
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    assert read_config(path) == other


def test_code_never_runs(tmp_path, state):
    marker = tmp_path / "executed"
    torch.save({**state, "extra": Payload(marker)}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="more than tensors"):
        read_config(tmp_path / "evil.pth")
    assert not marker.exists()


def test_a_pickle_leaves_nothing_behind(tmp_path, state, make_config):
    """It may set attributes of nothing that it gets, and nothing of it reaches the next file."""
    function = b"ctorch._utils\n_rebuild_tensor_v2\n"
    poison = function + b"N(V__defaults__\n(I1\nI2\ntd\x86b."
    with pytest.raises(CheckpointError, match="more than tensors"):
        read_config(archive(tmp_path / "poison.pth", poison))
    torch.save(state, tmp_path / "model.pth")
    assert read_config(tmp_path / "model.pth") == make_config()


HUGE = {
    "memo": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "bytes": b"\x80\x05\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b".",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "nothing of torch's": pickle.dumps({"a": 1}),
    "a number for a tensor": pickle.dumps({"conv_first.weight": 3}),
    "a large archive": bytes(17 << 20),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_claims_too_much_is_one_sentence(tmp_path, case):
    with pytest.raises(CheckpointError):
        read_config(archive(tmp_path / "huge.pth", HUGE[case]))


@pytest.mark.parametrize("size", ["-1", "1.5", "(I1\nI2\nt", "(I3\nI-2\nt", "None"])
def test_a_shape_that_is_none(tmp_path, size):
    value = {"None": "N"}.get(size, size if size[0] == "(" else f"F{size}\n")
    tensor = f"ctorch._utils\n_rebuild_tensor_v2\n(NI0\n{value}NI00\nNtR"
    content = f"(dVconv_first.weight\n{tensor}s.".encode()
    with pytest.raises(CheckpointError):
        read_config(archive(tmp_path / "odd.pth", content))


def test_an_archive_without_a_state_dict(tmp_path):
    with pytest.raises(CheckpointError, match="holds more than tensors, or is damaged"):
        read_config(archive(tmp_path / "other.pth", b"N.", "readme.txt"))


def test_the_old_torch_format_is_told(tmp_path, state):
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="old format"):
        read_config(tmp_path / "old.pth")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_told(path, part):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(CheckpointError, match=path.name):
        read_config(path)


def test_a_file_with_more_than_it_says_is_no_safetensors(tmp_path, state):
    save_file(state, tmp_path / "model.safetensors")
    with (tmp_path / "model.safetensors").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError, match="no whole safetensors"):
        read_config(tmp_path / "model.safetensors")


TABLES = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"[" * 100_000,
    b'{"a": 1}',
    b'{"a": {"shape": [1], "data_offsets": [0]}}',
    b'{"a": {"shape": [-1], "data_offsets": [0, 4]}}',
    b'{"a": {"shape": "x", "data_offsets": [0, 4]}}',
    b'{"a": {"data_offsets": [0, 4]}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: repr(table[:40]))
def test_a_table_that_is_none(tmp_path, table):
    file = tmp_path / "model.safetensors"
    for length in (len(table), 1 << 62):
        file.write_bytes(length.to_bytes(8, "little") + table + bytes(4))
        with pytest.raises(CheckpointError, match=r"model\.safetensors|no Swin2SR|is missing"):
            read_config(file)


def test_flipped_bytes_raise_one_kind_of_error_or_none(path):
    whole = path.read_bytes()
    numbers = random.Random(0)
    told = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(numbers.choice((1, 3, 20))):
            # heads and tails of files are what is read
            at = numbers.choice((numbers.randrange(4000), -1 - numbers.randrange(4000)))
            damaged[at] = numbers.randrange(256)
        path.write_bytes(damaged)
        try:
            read_config(path)
        except CheckpointError as error:
            told += "\n" not in str(error)
    assert told > 30


def test_a_file_that_is_gone_is_no_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_config(tmp_path / "gone.pth")


def test_published_networks_have_the_scale_of_their_entries():
    for entry in CATALOG:
        if entry.kind == "upscaler" and not entry.bundled:
            assert published_config(entry).scale == entry.scale
    with pytest.raises(CheckpointError, match="yunet"):
        published_config(find_entry("yunet"))


def test_the_weights_are_not_read(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "model.pth")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    read = []
    real = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda file, entry: (read.append(entry), real(file, entry))[1]
    )
    read_config(tmp_path / "model.pth")
    assert {entry.filename.rpartition("/")[2] for entry in read} == {"data.pkl", "byteorder"}
