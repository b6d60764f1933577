"""The host without a ComfyUI: order, caching, names of outputs, metadata, and failures."""

import hashlib
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import swin2sr_core
from swin2sr_headless import Session, comfy_stub, make_host, run_workflow
from swin2sr_headless.comfy_stub import io_types as io
from swin2sr_headless.workflow.document.graph import Link, Node
from swin2sr_headless.workflow.execution.execution import Executor
from swin2sr_headless.workflow.hosts.pack import load_pack


def test_a_workflow_runs_from_python(upscaled, make_picture, tmp_path):
    report = run_workflow(upscaled, inputs={"example.png": make_picture()}, out=tmp_path / "out")
    assert report.ok, report
    (path,) = report.files
    assert path == tmp_path / "out" / "swin2sr" / "transparent_00001_.png"
    with Image.open(path) as image:
        assert (image.size, image.mode) == ((96, 64), "RGBA")
        assert json.loads(image.info["prompt"])["4"]["class_type"] == "SaveImage"
    (output,) = report.outputs
    assert output.size == path.stat().st_size
    assert output.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {node.id for node in report.nodes} == set(upscaled)


def test_the_package_imports_nothing_heavy_before_it_is_needed(swin2sr):
    run = swin2sr("run", "--help")
    assert run.returncode == 0
    import subprocess
    import sys

    code = "import sys, swin2sr_headless as h; h.__all__; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_there_is_one_core_in_the_process(swin2sr_workflow, upscaled, make_picture):
    assert swin2sr_workflow(upscaled, inputs={"example.png": make_picture(seed=31)}).ok
    modules: dict[str, set[int]] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if Path(file).is_relative_to(Path(swin2sr_core.__file__).parent):
            modules.setdefault(file, set()).add(id(module))
    assert len(modules) > 20
    assert {file: len(each) for file, each in modules.items() if len(each) > 1} == {}


def test_what_a_node_raises_is_what_the_core_names():
    with comfy_stub.lent(), pytest.raises(swin2sr_core.ModelNotFoundError):
        load_pack()["Swin2SR_Load"].EXECUTE_NORMALIZED(model="no such", precision="fp32")


# -- caching -------------------------------------------------------------------------------------


def test_what_has_not_changed_does_not_run_again(swin2sr_workflow, upscaled, make_picture):
    inputs = {"example.png": make_picture(seed=21)}
    assert swin2sr_workflow(upscaled, inputs=inputs).ran >= {"1", "3", "4"}
    again = swin2sr_workflow(upscaled, inputs=inputs)
    assert (again.ran, again.cached) == (set(), {"1", "2", "3", "4"})
    assert len(again.files) == 1
    other = swin2sr_workflow(upscaled, inputs=inputs, values={"3.sharpen": 0.3})
    assert other.ran == {"3", "4"}
    other = swin2sr_workflow(upscaled, inputs={"example.png": make_picture(seed=22)})
    assert other.ran == {"1", "3", "4"}


def test_outputs_are_written_again_where_they_are_missing(
    swin2sr_workflow, inverted, make_picture, tmp_path
):
    inputs = {"example.png": make_picture()}
    first = swin2sr_workflow(inverted, inputs=inputs)
    first.files[0].unlink()
    second = swin2sr_workflow(inverted, inputs=inputs)
    assert second.ran == {"3"}
    assert second.files[0].is_file()
    third = swin2sr_workflow(inverted, inputs=inputs, out=tmp_path / "elsewhere")
    assert third.ran == {"3"}
    assert third.files[0].parent.parent == tmp_path / "elsewhere"
    other = tmp_path / "other" / "made" / "x_00001_.png"  # somebody else's file of that name
    other.parent.mkdir(parents=True)
    other.touch()
    fourth = swin2sr_workflow(inverted, inputs=inputs, out=tmp_path / "other")
    assert [path.name for path in fourth.files] == ["x_00002_.png"]


def test_numbers_count_on_and_placeholders_are_filled_in(
    swin2sr_workflow, inverted, make_picture, tmp_path
):
    folder = tmp_path / "output" / "made"
    folder.mkdir(parents=True)
    (folder / "x_00041_.png").touch()
    (folder / "x_other_.png").touch()
    inputs = {"example.png": make_picture()}
    (path,) = swin2sr_workflow(inverted, inputs=inputs).files
    assert path.name == "x_00042_.png"
    values = {"3.filename_prefix": "%width%x%height%/%year%"}
    (path,) = swin2sr_workflow(inverted, inputs=inputs, values=values).files
    assert path.parent.name == "24x16"
    assert path.name == f"{time.localtime().tm_year}_00001_.png"


def test_previews_go_into_a_folder_of_their_own(swin2sr_workflow, inverted, make_picture, tmp_path):
    inverted["4"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    report = swin2sr_workflow(inverted, inputs={"example.png": make_picture()})
    (preview,) = [each for each in report.outputs if each.kind == "temp"]
    assert preview.path.parent == tmp_path / "output" / "temp"
    assert preview.path not in report.files


def test_the_page_goes_into_the_metadata_and_comes_back(
    swin2sr_workflow, make_picture, definitions
):
    from .test_ui_format import read

    document = read("subgraph")
    (path,) = swin2sr_workflow(document, inputs={"example.png": make_picture()}).files
    with Image.open(path) as image:
        assert json.loads(image.info["workflow"]) == document
        assert set(json.loads(image.info["prompt"])) == {"1", "4", "5:2", "5:3"}
        pixels = np.asarray(image)
    again = swin2sr_workflow(
        path, inputs={"example.png": make_picture()}, values={"4.images": ["5:3", 0]}
    )
    with Image.open(again.files[0]) as image:
        assert np.array_equal(np.asarray(image), pixels)


# -- order, with nodes that only note that they ran ------------------------------------------------


def node_class(name: str, log: list, outputs: int = 1, **schema):
    class Noting(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            inputs = [io.AnyType.Input(f"i{n}", optional=True) for n in range(4)]
            given = [io.AnyType.Output() for _ in range(outputs)]
            return io.Schema(node_id=name, inputs=inputs, outputs=given, **schema)

        @classmethod
        def execute(cls, **inputs):
            log.append((name, inputs))
            return io.NodeOutput(*[name] * outputs)

    return Noting


def run_nodes(executor, graph):
    outputs = [n for n, node in graph.items() if node.class_type == "Out"]
    return executor.run(graph, outputs, {}, "here", lambda _shown: True)


def test_each_node_runs_once_after_its_sources():
    log = []
    executor = Executor(
        {"A": node_class("A", log), "Out": node_class("Out", log, 0, is_output_node=True)}
    )
    graph = {
        "out": Node("Out", {"i0": Link("top", 0), "i1": Link("left", 0)}),
        "top": Node("A", {"i0": Link("left", 0), "i1": Link("right", 0)}),
        "left": Node("A", {"i0": Link("root", 0), "i1": 1}),
        "right": Node("A", {"i0": Link("root", 0), "i1": 2}),
        "root": Node("A", {}),
    }
    run = run_nodes(executor, graph)
    assert [name for name, _ in log] == ["A"] * 4 + ["Out"]
    assert list(run.nodes) == ["root", "left", "right", "top", "out"]
    assert {node.state for node in run.nodes.values()} == {"ran"}
    log.clear()
    changed = {**graph, "right": Node("A", {"i0": Link("root", 0), "i1": 3})}
    run = run_nodes(executor, changed)
    assert [n for n, node in run.nodes.items() if node.state == "ran"] == ["right", "top", "out"]


def test_two_nodes_that_are_the_same_run_once():
    log = []
    executor = Executor(
        {"A": node_class("A", log), "Out": node_class("Out", log, 0, is_output_node=True)}
    )
    graph = {"a": Node("A", {"i0": 1}), "b": Node("A", {"i0": 1})}
    graph["out"] = Node("Out", {"i0": Link("a", 0), "i1": Link("b", 0)})
    run = run_nodes(executor, graph)
    assert [name for name, _ in log] == ["A", "Out"]
    assert {n: node.state for n, node in run.nodes.items()} == {
        "a": "ran",
        "b": "cached",
        "out": "ran",
    }


def test_lists_are_worked_through_item_by_item():
    log = []

    class Many(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Many", outputs=[io.AnyType.Output(is_output_list=True)])

        @classmethod
        def execute(cls):
            return io.NodeOutput([1, 2, 3])

    executor = Executor({"Many": Many, "Out": node_class("Out", log, 0, is_output_node=True)})
    run_nodes(executor, {"m": Node("Many"), "out": Node("Out", {"i0": Link("m", 0), "i1": "x"})})
    assert log == [("Out", {"i0": n, "i1": "x"}) for n in (1, 2, 3)]


# -- ending early --------------------------------------------------------------------------------


def test_a_failing_node_is_named_and_the_rest_is_left(swin2sr_workflow, upscaled, make_picture):
    inputs = {"example.png": make_picture(height=200, width=200, seed=5)}
    values = {"3.max_memory": 0.0001}
    report = swin2sr_workflow(upscaled, inputs=inputs, values=values, status="failed")
    (error,) = report.errors
    assert (error.node, error.class_type, error.kind) == (
        "3",
        "Swin2SR_TiledUpscale",
        "BudgetError",
    )
    assert "smallest budget" in error.message
    assert "\n" not in error.message
    states = {node.id: node.state for node in report.nodes}
    assert (states["3"], states["4"]) == ("failed", "skipped")
    assert report.exit_code == 1
    assert report.outputs == ()


def test_a_picture_that_is_none(swin2sr_workflow, inverted, write):
    inputs = {"example.png": write("no picture", "example.png")}
    report = swin2sr_workflow(inverted, inputs=inputs, status="failed")
    assert "example.png is no picture that can be read" in report.errors[0].message


def test_time_runs_out(swin2sr_workflow, upscaled, make_picture):
    inputs = {"example.png": make_picture(height=900, width=900, mode="RGB")}
    report = swin2sr_workflow(upscaled, inputs=inputs, timeout=0.7, status="timeout")
    assert report.exit_code == 124
    assert "not done within 0.7 s" in report.errors[0].message
    assert report.outputs == ()


def test_the_user_stops_it(upscaled, make_picture, tmp_path):
    pressed = threading.Event()
    threading.Timer(0.7, pressed.set).start()
    with Session(make_host()) as session:
        report = session.run(
            upscaled,
            inputs={"example.png": make_picture(height=900, width=900, mode="RGB")},
            out=tmp_path / "out",
            should_stop=pressed.is_set,
        )
    assert (report.status, report.exit_code) == ("interrupted", 130)
    assert not list((tmp_path / "out").rglob("*.png"))


def test_two_hosts_in_turn_keep_to_their_own_folders(inverted, make_picture, tmp_path):
    with Session(make_host()) as one, Session(make_host()) as two:
        for seed, session in enumerate((one, two, one, two)):
            picture = make_picture(seed=seed)
            out = tmp_path / str(seed)
            report = session.run(inverted, inputs={"example.png": picture}, out=out)
            assert report.ok, report
            with Image.open(report.files[0]) as made, Image.open(picture) as source:
                total = np.asarray(source.convert("RGB")).astype(int) + np.asarray(made)
                assert 254 <= total.min() <= total.max() <= 255  # fractions are cut off


@pytest.mark.parametrize("where", ["swin2sr", "upscale_models"])
def test_models_of_a_folder(where, inverted, make_picture, tmp_path, make_config, make_network):
    from safetensors.torch import save_file

    models = tmp_path / "models"
    (models / where).mkdir(parents=True)
    save_file(make_network(make_config(scale=2)).state_dict(), models / where / "mine.safetensors")
    loader = {
        "class_type": "Swin2SR_Load",
        "inputs": {"model": "mine.safetensors", "precision": "fp32"},
    }
    if where == "upscale_models":
        loader = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "mine.safetensors"}}
    graph = json.loads(
        (Path(__file__).parents[2] / "example_workflows/api/upscale_picture.json").read_text()
    )
    graph["2"] = loader
    out = tmp_path / "out"
    inputs = {"example.png": make_picture()}
    report = run_workflow(graph, inputs=inputs, values={"3.scale": 2.0}, out=out, models=models)
    assert report.ok, report
    with Image.open(report.files[0]) as image:
        assert image.size == (48, 32)
    refused = run_workflow(graph, inputs=inputs, out=out, models=tmp_path)
    assert refused.status == "refused"
    assert "mine.safetensors" in str(refused.errors[0])


def test_what_a_graph_does_not_have_is_forgotten():
    """Results take memory: those of the last graph are kept, and no others."""
    log = []
    executor = Executor(
        {"A": node_class("A", log), "Out": node_class("Out", log, 0, is_output_node=True)}
    )

    def graph(value):
        return {"a": Node("A", {"i0": value}), "out": Node("Out", {"i0": Link("a", 0)})}

    for value in range(5):
        run_nodes(executor, graph(value))
        assert len(executor._cache) == 2
    log.clear()
    run_nodes(executor, graph(4))
    assert log == []
    run_nodes(executor, graph(0))
    assert [name for name, _ in log] == ["A", "Out"]


def test_what_brings_an_output_nearest_runs_first():
    """As in ComfyUI: a preview comes as soon as it can, not after all that is ready."""
    log = []
    executor = Executor(
        {"A": node_class("A", log), "Out": node_class("Out", log, 0, is_output_node=True)}
    )
    graph = {
        "far": Node("A", {"i0": 1}),
        "further": Node("A", {"i0": Link("far", 0), "i1": 2}),
        "furthest": Node("A", {"i0": Link("further", 0), "i1": 3}),
        "late": Node("Out", {"i0": Link("furthest", 0)}),
        "near": Node("A", {"i0": 5}),
        "soon": Node("Out", {"i0": Link("near", 0)}),
    }
    assert list(run_nodes(executor, graph).nodes)[:2] == ["near", "soon"]
