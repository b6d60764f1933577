"""swin2sr plan, models and bench."""

import functools
import hashlib
import http.server
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

import swin2sr_core as s2
from swin2sr_core.models import catalog
from swin2sr_headless.benchmarking.matrix_products import ATTENTION, LAYERS, MatrixProducts
from swin2sr_headless.benchmarking.traffic import TrafficMeter, bytes_per_second

# -- plan --------------------------------------------------------------------------------------


def test_a_plan_is_printed_as_the_core_prints_it(run):
    options = ["--precision", "fp32", "--device", "cpu", "--max-memory", "1GB"]
    code, out, err = run("plan", "640x480", *options)
    config = s2.load_model(precision="fp32").config
    room = (1 << 30) - (320 << 20)
    plan = s2.plan_upscale(config, height=480, width=640, budget_bytes=room, streamed=0)
    plan = replace(plan, notes=("of 1.00 GB, 320 MB are the program's own",))
    assert (code, err) == (0, "")
    assert out.startswith(f"{plan}\n\n")
    assert out.startswith("640x480 -> 2560x1920 in 1 pass(es), fp32")


def test_a_plan_shows_what_else_there_was_and_why_it_was_taken(run):
    options = ["--precision", "fp32", "--device", "cpu", "--json"]
    code, out, _ = run("plan", "512x512", "--max-memory", "720MB", *options)
    document = json.loads(out)
    assert code == 0
    (taken,) = [row for row in document["candidates"] if row["taken"]]
    assert taken["strategy"] == "whole" and taken["fits"] and taken["exact"]
    assert {row["strategy"] for row in document["candidates"]} == {"whole", "staged", "tiled"}
    assert min(row["time"] for row in document["candidates"]) == 1
    assert document["reason"] == "the fastest exact plan that fits into 400 MB"
    _, out, _ = run("plan", "512x512", "--max-memory", "370MB", "--precision", "fp32")
    assert "->  tiled" in out and "it is not exact, for which" in out and "over the budget" in out


def test_a_plan_tells_what_the_input_gate_does(run):
    code, out, _ = run("plan", "1000x2000", "--max-input-side", "500")
    assert code == 0
    assert "1000x2000 was reduced to 250x500 first" in out and "-> 1000x2000 in 1 pass" in out


def test_a_plan_as_json_and_of_a_picture(run, tmp_path):
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.png")
    options = ["--precision", "fp32", "--device", "cpu", "--json"]
    code, out, _ = run("plan", tmp_path / "a.png", "--scale", "2", "--strategy", "staged", *options)
    document = json.loads(out)
    assert code == 0
    assert document["input_size"] == [50, 30]
    assert document["plan"]["output_size"] == [100, 60]
    assert document["plan"]["strategy"] == "staged"
    assert (document["model"], document["device"]) == ("compact-x4", "cpu")


def test_a_very_long_picture_can_be_planned(run):
    code, out, _ = run("plan", "40000x10", "--device", "cpu", "--json")
    assert code == 0 and json.loads(out)["plan"]["output_size"] == [160000, 40]


def test_a_model_that_is_not_here_can_be_planned(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    code, out, err = run("plan", "1024x1024", "--model", "classical-x4", "--device", "cpu")
    assert (code, err) == (0, "")
    assert out.startswith("1024x1024 -> 4096x4096 in 1 pass(es)")
    code, _, err = run("plan", "64x64", "--model", "classical-x5", "--device", "cpu")
    assert code == 3 and "there is no model called" in err


def test_impossible_plans(run):
    code, _, err = run("plan", "4000x4000", "--device", "cpu", "--max-memory", "100MB")
    assert code == 2 and "the smallest budget that works is" in err
    code, _, err = run("plan", "0x10")
    assert code == 2 and "an image has at least 1x1 pixels, got 0x10" in err
    code, _, err = run("plan", "nothing.png")
    assert code == 2 and "there is no file nothing.png" in err


# -- models ------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A web server on a folder: (its address, the folder)."""
    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def listed(server, tmp_path, monkeypatch):
    """A model in the catalog that is on the server, and an empty folder for models."""
    address, folder = server
    content = np.random.default_rng(0).bytes(300_000)
    (folder / "small.pth").write_bytes(content)
    entry = catalog.CatalogEntry(
        name="small-x4",
        file_name="small.pth",
        url=address + "small.pth",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0",
        purpose="tests",
        scale=4,
    )
    monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, entry))
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models" / "small.pth"


def test_models_are_listed(run, listed):
    code, out, err = run("models", "list")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["name", "scale", "size", "here", "licence", "for"]
    assert lines[1].split()[:6] == ["compact-x4", "x4", "1.1", "MB", "yes", "Apache-2.0"]
    assert any(line.split()[:5] == ["small-x4", "x4", "0.3", "MB", "no"] for line in lines)
    assert lines[-1] == f"downloaded models are kept in {listed.parent}"
    document = json.loads(run("models", "list", "--json")[1])
    by_name = {each["name"]: each for each in document["models"]}
    assert by_name["compact-x4"]["here"] and not by_name["small-x4"]["here"]
    assert list(by_name) == [entry.name for entry in catalog.CATALOG]


def test_a_model_is_downloaded_listed_and_verified(run, listed):
    code, out, err = run("models", "download", "small-x4", "--progress")
    assert code == 0 and out == f"small-x4: {listed} (0.3 MB)\n"
    assert "small-x4: " in err and "/293k |" in err
    code, out, _ = run("models", "list", "--json")
    assert json.loads(out)["models"][-1]["path"] == str(listed)
    code, out, _ = run("models", "verify", "small-x4")
    assert (code, out) == (0, "small-x4: whole and unchanged\n")
    code, out, _ = run("models", "download", "small-x4", "--json")
    assert code == 0 and json.loads(out)["bytes"] == 300_000


def test_a_damaged_model_is_found(run, listed):
    assert run("models", "download", "small-x4")[0] == 0
    listed.write_bytes(listed.read_bytes()[:-1] + b"?")
    code, out, err = run("models", "verify", "--json")
    document = json.loads(out)
    assert code == 1 and document["status"] == "error"
    assert document["models"][-1]["status"] == "damaged"
    assert "small-x4: the file is damaged; delete it and download it again" in err


@pytest.mark.usefixtures("listed")
def test_models_that_cannot_be_had(run, server):
    code, _, err = run("models", "download", "smal-x4")
    assert code == 3 and "did you mean small-x4" in err
    code, _, err = run("models", "verify", "small-x4")
    assert code == 3 and "run `swin2sr models download small-x4`" in err
    (server[1] / "small.pth").unlink()
    code, out, err = run("models", "download", "small-x4", "--json")
    assert code == 3 and "has no such file any more (404)" in json.loads(out)["error"]
    assert "Traceback" not in err


# -- bench -------------------------------------------------------------------------------------


def test_a_benchmark_tells_times_of_all_combinations(run):
    options = ["--device", "cpu", "--repeat", "2", "--precision", "fp32", "--precision", "bf16"]
    strategies = ["--strategy", "whole", "--strategy", "staged"]
    code, out, _ = run("bench", "--size", "16", "--size", "8x24", *options, *strategies, "--json")
    document = json.loads(out)
    results = document["results"]
    assert code == 0 and (document["model"], document["device"]) == ("compact-x4", "cpu")
    found = [(tuple(r["input_size"]), r["precision"], r["strategy"]) for r in results]
    assert sorted(found) == sorted(
        (size, precision, strategy)
        for size in ((16, 16), (24, 8))
        for precision in ("fp32", "bf16")
        for strategy in ("whole", "staged")
    )
    for each in results:
        assert len(each["rounds_ms"]) == len(each["matrix_products_rounds_ms"]) == 2
        assert min(each["rounds_ms"]) <= each["median_ms"] <= max(each["rounds_ms"])
        assert each["matrix_products_calls"] > 0 and each["forecast_bytes"] > 0
        assert each["traffic_ms"] > 0


def test_a_benchmark_is_printed_as_a_table(run):
    options = ["--precision", "fp32", "--strategy", "whole", "--repeat", "1", "--device", "cpu"]
    code, out, err = run("bench", "--size", "16", *options)
    assert (code, err) == (0, "")
    assert out.startswith("compact-x4 on cpu, 1 threads, torch ")
    assert out.splitlines()[3].split()[:3] == ["16x16", "fp32", "whole"]


def packed_linear_flops(x, weight, *_, out_shape=None, **__) -> int:
    """Of oneDNN's linear layers, which torch's counter does not know."""
    return 2 * x[0] * x[1] * weight[0]


@pytest.mark.parametrize("names", [LAYERS, LAYERS | ATTENTION])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(16, 24), (21, 30)])
def test_the_replayed_products_are_those_of_the_run(size, precision, names):
    model = s2.load_model(precision=precision)
    image = torch.rand(1, 3, *size)
    products = MatrixProducts(names)
    s2.upscale(model, image)  # the first run also tries what this torch can do
    known = {torch.ops.mkldnn._linear_pointwise: packed_linear_flops}
    with FlopCounterMode(display=False, custom_mapping=known) as whole:
        s2.upscale(model, image)
    with products.watching():
        s2.upscale(model, image)
    with FlopCounterMode(display=False, custom_mapping=known) as replayed:
        products.replay()
    expected = {
        operation: flops
        for operation, flops in whole.get_flop_counts()["Global"].items()
        if names >= ATTENTION or operation.__name__ not in ATTENTION
    }
    assert len(expected) >= 2
    assert replayed.get_flop_counts()["Global"] == expected


def test_traffic_is_what_operations_read_and_write():
    x, index = torch.ones(6, 5), torch.tensor([1, 3])
    with TrafficMeter() as meter:
        y = x[:2].t() + 1
        z = torch.empty(2, 5)
        torch.index_select(x, 0, index, out=z)
    assert meter.bytes == 4 * (10 + 10) + (4 * 30 + 8 * 2 + 4 * 10 + 4 * 10)
    assert y.shape == (5, 2)
    assert bytes_per_second(torch.device("cpu")) > 1e8


def test_bench_engines_compares_what_is_installed(run, monkeypatch):
    """Each in a process of its own; ours and onnxruntime differ by rounding alone."""
    from swin2sr_headless.benchmarking import engines

    pytest.importorskip("onnxruntime")
    shown = [each for each in engines.ENGINES if (each.precision, each.kernels) != ("bf16", "auto")]
    monkeypatch.setattr(engines, "ENGINES", (shown[0], shown[2]))
    code, out, _ = run("bench", "--engines", "--size", "16", "--repeat", "2", "--json")
    first, second = json.loads(out)["engines"]
    assert code == 0
    assert (first["engine"], second["engine"]) == ("torch, reference", "onnxruntime")
    assert first["largest_difference"] == 0 < second["largest_difference"] <= 1e-5
    assert all(len(each["rounds_seconds"]) == 2 and each["peak_bytes"] for each in (first, second))


def test_bench_engines_takes_no_precision_and_whole_windows(run):
    assert run("bench", "--engines", "--precision", "fp32")[0] == 2
    code, _, err = run("bench", "--engines", "--size", "17")
    assert code == 2 and "multiples of the window" in err
