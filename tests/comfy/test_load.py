"""Load Swin2SR: its list, what the entries mean, downloads, and when a file is loaded again."""

import gc
import hashlib
import http.server
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def choice(pack):
    return pack("nodes.model_choice")


@pytest.fixture
def errors(pack):
    return pack("swin2sr_core.errors")


@pytest.fixture
def server(tmp_path: Path):
    """A folder, and the address it is served at."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def log_message(self, *_args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def served_entry(server, choice, pack, put_model, base: Path, monkeypatch):
    """(name) -> an official checkpoint of the catalog whose file comes from the local server."""

    def serve(name="lightweight-x2"):
        folder, address = server
        made = put_model("made.pth", folder="elsewhere")
        entry = next(e for e in choice._UPSCALERS if e.name == name)
        content = made.read_bytes()
        (folder / entry.file_name).write_bytes(content)
        changed = replace(
            entry,
            url=f"{address}/{entry.file_name}",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        others = [changed if e is entry else e for e in choice._UPSCALERS]
        monkeypatch.setattr(choice, "_UPSCALERS", tuple(others))
        return changed

    yield serve
    for path in (base / "models" / "swin2sr").glob("*"):
        path.unlink()


@pytest.fixture(autouse=True)
def no_models_of_the_command_line(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path / "none"))


# -- the list ------------------------------------------------------------------------------------


def test_bundled_first_then_files_then_downloads(choice, put_model):
    put_model("zebra.safetensors")
    put_model("sub/mine.pth", folder="upscale_models")
    names = choice.choices()
    assert names[:2] == [choice.DEFAULT, "compact-real-x4"]
    assert [n for n in names if n.endswith(choice.DOWNLOAD)] == names[4:]
    assert {n.removesuffix(choice.DOWNLOAD) for n in names[4:]} == {
        *("classical-x2", "classical-x4", "realworld-x4", "compressed-x4", "lightweight-x2")
    }
    assert [Path(n) for n in names[2:4]] == [Path("zebra.safetensors"), Path("sub/mine.pth")]


def test_other_architectures_in_upscale_models_are_left_out(choice, put_model, base: Path):
    folder = base / "models" / "upscale_models"
    put_model("ours.safetensors", folder="upscale_models")
    others = {
        "esrgan.pth": {"model.1.sub.0.RDB1.conv1.0.weight": torch.zeros(1)},
        "swinir.pth": {
            "params": {"layers.0.residual_group.blocks.0.attn.proj.bias": torch.ones(2)}
        },
    }
    for name, state in others.items():
        torch.save(state, folder / name)
    (folder / "damaged.pth").write_bytes(b"PK but no archive")
    (folder / "empty.safetensors").write_bytes(b"")
    try:
        files = {n for n in choice.choices() if n.endswith((".pth", ".safetensors"))}
        assert files == {"ours.safetensors"}
    finally:
        for name in (*others, "damaged.pth", "empty.safetensors"):
            (folder / name).unlink()


def test_files_of_every_kind_of_writing_are_found(choice, put_model, base: Path):
    """Official and transformers' names, zipped, unzipped and safetensors."""
    folder = base / "models" / "upscale_models"
    state = torch.load(put_model("new.pth", folder="upscale_models"), weights_only=True)
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    mark = "swin2sr.encoder.stages.0.layers.0.attention.self.logit_scale"
    save_file({mark: torch.zeros(1)}, folder / "hub.safetensors")
    try:
        assert {"new.pth", "old.pth", "hub.safetensors"} <= set(choice.choices())
    finally:
        for name in ("old.pth", "hub.safetensors"):
            (folder / name).unlink()


def test_official_file_that_is_there_is_no_download(choice, put_model):
    put_model("Swin2SR_ClassicalSR_X4_64.pth", folder="upscale_models")
    names = choice.choices()
    assert "Swin2SR_ClassicalSR_X4_64.pth" in names
    assert not [n for n in names if n.startswith("classical-x4")]


def test_models_of_the_command_line_are_found(choice, put_model, monkeypatch, tmp_path: Path):
    made = put_model("made.pth")
    entry = next(e for e in choice._UPSCALERS if e.name == "classical-x2")
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    (tmp_path / entry.file_name).write_bytes(made.read_bytes())
    assert "classical-x2" in choice.choices()
    assert choice.find("classical-x2") == tmp_path / entry.file_name


def test_a_saved_download_entry_means_the_file_later(choice, put_model):
    path = put_model("Swin2SR_ClassicalSR_X4_64.pth")
    assert choice.find("classical-x4" + choice.DOWNLOAD) == path


# -- what can't be had ---------------------------------------------------------------------------


def test_a_file_deleted_between_runs(choice, errors, node_list, put_model, load):
    path = put_model("gone.safetensors")
    load("gone.safetensors")
    path.unlink()
    with pytest.raises(errors.ModelNotFoundError, match=r"no model file gone\.safetensors in .*sw"):
        choice.find("gone.safetensors")
    assert "gone.safetensors" in node_list[0].validate_inputs(model="gone.safetensors")
    assert node_list[0].fingerprint_inputs(model="gone.safetensors", precision="auto")


def test_a_deleted_official_file_is_not_downloaded_unasked(choice, errors):
    with pytest.raises(errors.ModelNotFoundError, match=r"choose classical-x4 \(download\)"):
        choice.find("Swin2SR_ClassicalSR_X4_64.pth")


def test_validation_accepts_all_that_is_offered(choice, node_list):
    assert all(node_list[0].validate_inputs(model=name) is True for name in choice.choices())
    assert node_list[0].validate_inputs(model=None) is True


def test_another_architecture_is_told(errors, load, base: Path):
    path = base / "models" / "swin2sr" / "esrgan.pth"
    torch.save({"model.1.sub.0.RDB1.conv1.0.weight": torch.zeros(1)}, path)
    try:
        with pytest.raises(errors.CheckpointError, match="looks like ESRGAN"):
            load("esrgan.pth")
    finally:
        path.unlink()


def test_a_precision_that_does_not_exist_is_refused(errors, load):
    with pytest.raises(errors.Swin2SRError, match="fp8"):
        load(precision="fp8")


# -- loading again -------------------------------------------------------------------------------


def test_an_unchanged_file_is_loaded_once(load, put_model):
    put_model("once.safetensors")
    assert load("once.safetensors") is load("once.safetensors")
    assert load("once.safetensors") is not load("once.safetensors", precision="bf16")


def test_a_changed_file_is_loaded_again(load, node_list, put_model, make_picture):
    put_model("changing.safetensors", seed=1)
    first = load("changing.safetensors")
    mark = node_list[0].fingerprint_inputs(model="changing.safetensors", precision="fp32")
    assert mark == node_list[0].fingerprint_inputs(model="changing.safetensors", precision="fp32")
    time.sleep(0.01)
    put_model("changing.safetensors", seed=2)
    assert mark != node_list[0].fingerprint_inputs(model="changing.safetensors", precision="fp32")
    second = load("changing.safetensors")
    image = make_picture(8, 8).movedim(-1, 1)
    assert not torch.equal(first(image), second(image))


def test_nothing_is_kept_that_nobody_holds(load, put_model, pack):
    put_model("fleeting.safetensors")
    model = load("fleeting.safetensors")
    before = len(pack("nodes.load")._alive)
    del model
    gc.collect()
    assert len(pack("nodes.load")._alive) == before - 1


# -- exported files ------------------------------------------------------------------------------


@pytest.fixture
def put_exported(pack, put_model):
    """(name, folder) -> a file there that `swin2sr export` would write, of a tiny network."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def put(name, folder="swin2sr"):
        path = put_model(name, folder)
        config, state = pack("swin2sr_core.models.checkpoint").load_checkpoint(path)
        network = pack("swin2sr_core.network.network").Swin2SR(config).eval()
        network.load_state_dict(state)
        contract = pack("swin2sr_core.export.contract").Contract.of(
            config, model="tiny", precision="fp32", licence="MIT", weights_sha256="0" * 64
        )
        content, _ = pack("swin2sr_core.export.writing").onnx_bytes(network, contract)
        exported = path.with_suffix(".onnx")
        exported.write_bytes(content)
        return path, exported

    return put


def test_exported_files_are_listed_run_and_nothing_else_is(
    put_exported, choice, load, upscale, make_picture, base
):
    _, exported = put_exported("tiny.safetensors")
    other = base / "models" / "swin2sr" / "other.onnx"
    other.write_bytes(b"\x08\x07")
    try:
        listed = choice.choices()
        assert "tiny.onnx" in listed and "other.onnx" not in listed
        image = make_picture(40, 56)
        tiles = {"strategy": "tiled", "tile_size": 32}
        model = load("tiny.onnx")
        picture, _ = upscale(image, model, **tiles)
        expected, _ = upscale(image, load("tiny.safetensors"), **tiles)
        assert (picture - expected).abs().max() <= 1e-5
        assert load("tiny.onnx") is model
    finally:
        other.unlink()
        exported.unlink()


def test_an_exported_file_has_its_precision(put_exported, load, errors):
    _, exported = put_exported("tiny.safetensors")
    try:
        with pytest.raises(errors.InputError, match="exported in fp32, and fp16 is asked for"):
            load("tiny.onnx", "fp16")
    finally:
        exported.unlink()


# -- downloads -----------------------------------------------------------------------------------


def test_choosing_a_download_fetches_it_once(load, choice, served_entry, base: Path, server):
    entry = served_entry()
    name = entry.name + choice.DOWNLOAD
    assert name in choice.choices()
    model = load(name)
    assert model.scale == 2
    assert (base / "models" / "swin2sr" / entry.file_name).is_file()
    (server[0] / entry.file_name).unlink()
    assert load(name) is model


def test_progress_of_a_download_is_shown(load, choice, served_entry, bar_steps):
    entry = served_entry("classical-x2")
    load(entry.name + choice.DOWNLOAD)
    value, total, _ = bar_steps[-1]
    assert value == total == entry.size


def test_offline_it_says_which_file_to_put_where(load, choice, errors, monkeypatch, base: Path):
    nowhere = [
        replace(e, url=f"http://127.0.0.1:1/{e.file_name}") if e.url else e
        for e in choice._UPSCALERS
    ]
    monkeypatch.setattr(choice, "_UPSCALERS", tuple(nowhere))
    with pytest.raises(errors.DownloadError) as caught:
        load("realworld-x4" + choice.DOWNLOAD)
    assert "Swin2SR_RealworldSR_X4_64_BSRGAN_PSNR.pth" in str(caught.value)
    assert str(base / "models" / "swin2sr") in str(caught.value)


def test_a_download_can_be_cancelled(load, choice, served_entry, pack):
    mm = pack("nodes.host").mm
    entry = served_entry()
    mm.interrupt_current_processing(True)
    with pytest.raises(mm.InterruptProcessingException):
        load(entry.name + choice.DOWNLOAD)
    assert not mm.processing_interrupted()
    assert load(entry.name + choice.DOWNLOAD).scale == 2
