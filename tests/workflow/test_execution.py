"""The small executor: what it lets go of, what it leaves out, and where it can be stopped."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from swin2sr_headless import run_workflow
from swin2sr_headless.comfy_stub import model_management
from swin2sr_headless.workflow.document.graph import Link, Node
from swin2sr_headless.workflow.execution import execution, image_nodes, pixels
from swin2sr_headless.workflow.execution.execution import Made, without_needless


def chain(length: int, side: int = 64) -> dict:
    """An empty picture, inverted again and again, and saved."""
    graph = {
        "0": {
            "class_type": "EmptyImage",
            "inputs": {"width": side, "height": side, "batch_size": 1, "color": 0x336699},
        }
    }
    for number in range(1, length + 1):
        inputs = {"image": [str(number - 1), 0]}
        graph[str(number)] = {"class_type": "ImageInvert", "inputs": inputs}
    inputs = {"images": [str(length), 0], "filename_prefix": "x"}
    graph["save"] = {"class_type": "SaveImage", "inputs": inputs}
    return graph


@pytest.fixture
def alive(monkeypatch):
    """How many pictures are held after each node: the numbers of results with values."""
    counts = []
    step = execution.Executor._step

    def counted(self, *arguments):
        counts.append(sum(made.bytes > 0 for made in self._cache.values()))
        return step(self, *arguments)

    monkeypatch.setattr(execution.Executor, "_step", counted)
    return counts


def test_results_go_when_their_last_reader_has_run(alive, monkeypatch, tmp_path):
    monkeypatch.setattr(execution, "_KEPT", 0)
    assert run_workflow(chain(8), out=tmp_path).ok
    assert max(alive) == 1  # of the node before, read by the next
    alive.clear()
    graph = chain(8)
    graph["2"]["inputs"]["image"] = ["0", 0]
    graph["both"] = {
        "class_type": "ImageBatch",
        "inputs": {"image1": ["0", 0], "image2": ["8", 0]},
    }
    graph["save"]["inputs"]["images"] = ["both", 0]
    assert run_workflow(graph, out=tmp_path / "b").ok
    assert max(alive) == 2  # the first has a reader to the end


def test_what_was_let_go_of_is_made_again_where_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(execution, "_KEPT", 0)
    graph = chain(3)
    first = run_workflow(graph, out=tmp_path / "a")
    again = run_workflow(graph, out=tmp_path / "a")
    assert (again.ran, again.cached) == (set(), set(graph))  # its files are there
    other = run_workflow(graph, out=tmp_path / "b")
    assert (other.status, other.ran) == ("done", set(graph))
    assert [f.sha256 for f in first.outputs] == [f.sha256 for f in other.outputs]


def test_small_results_stay_for_the_next_run(tmp_path):
    graph = chain(3)
    assert run_workflow(graph, out=tmp_path / "a").ok
    graph["save"]["inputs"]["filename_prefix"] = "y"
    assert run_workflow(graph, out=tmp_path / "a").ran == {"save"}


def test_views_and_frames_count_as_what_they_keep():
    whole = torch.zeros(4, 8, 8, 3)
    size = whole.numel() * 4
    assert Made(([whole, whole[:1]],), {}).bytes == size
    assert Made(([whole[0, :2]],), {}).bytes == size

    class Video:
        images = whole

    assert Made(([Video()],), {}).bytes == size
    assert Made((["text", 5],), {}).bytes == 0
    assert Made(None, {}).bytes == 0


# -- switches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [True, False])
@pytest.mark.parametrize("how", ["constant", "primitive"])
def test_what_a_switch_does_not_choose_does_not_run(choice, how, tmp_path):
    graph = chain(2)
    graph["0"]["inputs"]["color"] = 10 + choice + 2 * (how == "constant")  # nothing is there yet
    graph["flag"] = {"class_type": "PrimitiveBoolean", "inputs": {"value": choice}}
    graph["switch"] = {
        "class_type": "ComfySwitchNode",
        "inputs": {
            "switch": choice if how == "constant" else ["flag", 0],
            "on_false": ["0", 0],
            "on_true": ["2", 0],
        },
    }
    graph["save"]["inputs"]["images"] = ["switch", 0]
    report = run_workflow(graph, out=tmp_path)
    assert report.ok, report
    assert ("2" in report.ran | report.cached) == choice


def test_a_choice_that_is_not_known_keeps_both():
    nodes = {
        "1": Node("GetImageSize"),
        "2": Node("ComfySwitchNode", {"switch": Link("1", 0), "on_false": 1, "on_true": 2}),
    }
    assert without_needless(nodes) == nodes


# -- stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lanczos", "bilinear"])
def test_resizing_can_be_stopped_between_frames(method):
    frames = torch.zeros(3, 8, 8, 3)
    model_management.interrupt_current_processing()
    try:
        with pytest.raises(model_management.InterruptProcessingException):
            pixels.resized(frames, 4, 4, method)
    finally:
        model_management.interrupt_current_processing(False)


def test_a_time_limit_holds_within_a_node(tmp_path, monkeypatch):
    """A node that works frame by frame ends with the frame at which the time is up."""
    seen = []
    lanczos = pixels._lanczos

    def slow(*arguments):
        seen.append(1)
        time.sleep(0.1)
        return lanczos(*arguments)

    monkeypatch.setattr(pixels, "_lanczos", slow)
    graph = chain(1)
    graph["0"]["inputs"]["batch_size"] = 300
    graph["big"] = {
        "class_type": "ImageScaleBy",
        "inputs": {"image": ["1", 0], "upscale_method": "lanczos", "scale_by": 2.0},
    }
    graph["save"]["inputs"]["images"] = ["big", 0]
    report = run_workflow(graph, out=tmp_path, timeout=1)
    assert (report.status, report.exit_code) == ("timeout", 124)
    assert len(seen) < 300


@pytest.mark.parametrize("kind", ["file", "below a file", "read-only"])
def test_a_place_for_outputs_is_looked_at_before_anything_runs(kind, tmp_path):
    out = tmp_path / "out"
    if kind == "read-only":
        if os.name == "nt" or os.geteuid() == 0:
            pytest.skip("everything may be written to here")
        out.mkdir(mode=0o500)
    else:
        out.write_text("")
    out = out / "deep" if kind == "below a file" else out
    report = run_workflow(chain(1), out=out)
    assert (report.status, report.nodes) == ("refused", ())
    assert "--out" in str(report.errors[0])
    assert out.is_dir() == (kind == "read-only")


# -- nodes, where no checkout is at hand ---------------------------------------------------------


def result_of(output) -> Any:
    assert output.result is not None
    return output.result


def test_padding_fades_towards_its_borders():
    image = torch.rand(2, 20, 30, 3, generator=torch.Generator().manual_seed(0))
    padded, mask = result_of(image_nodes.ImagePadForOutpaint.execute(image, 8, 0, 4, 3, 5))
    assert padded.shape == (2, 23, 42, 3)
    assert torch.equal(padded[:, :20, 8:38], image)
    assert torch.all(padded[:, 20:] == 0.5)
    assert mask.shape == (1, 23, 42)
    assert torch.all(mask[0, :, :8] == 1)
    assert torch.all(mask[0, 20:] == 1)
    assert mask[0, 5, 8] == 1  # at the border
    assert mask[0, 5, 10] == pytest.approx((3 / 5) ** 2)
    assert torch.all(mask[0, :10, 14:32] == 0)  # no border above


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("normal", 0.6), ("multiply", 0.12), ("screen", 0.68), ("overlay", 0.24), ("difference", 0.0)],
)
def test_blending(mode, expected):
    below, above = torch.full((1, 2, 2, 3), 0.2), torch.full((1, 2, 2, 3), 0.6)
    (full,) = result_of(image_nodes.ImageBlend.execute(below, above, 1.0, mode))
    assert full[0, 0, 0, 0] == pytest.approx(expected, abs=1e-6)
    (none,) = result_of(image_nodes.ImageBlend.execute(below, above, 0.0, mode))
    assert torch.equal(none, below)


def test_a_picture_with_alpha_and_one_without():
    with_alpha, without = torch.zeros(1, 2, 2, 4), torch.zeros(1, 2, 2, 3)
    one, two = pixels.with_same_channels(with_alpha, without)
    assert one.shape == two.shape
    assert torch.all(two[..., 3] == 1)


def test_a_crop_does_not_keep_the_whole_picture():
    image = torch.zeros(1, 100, 100, 3)
    (part,) = result_of(image_nodes.ImageCrop.execute(image, 10, 10, 95, 0))
    assert part.shape == (1, 10, 5, 3)
    assert part.untyped_storage().nbytes() == part.numel() * 4


def test_upscaling_with_a_model_of_the_embedded_host(upscaled, make_picture, tmp_path):
    """One tile is what the model makes of the whole picture; more fade into each other."""
    graph = {
        **upscaled,
        "plain": {
            "class_type": "ImageUpscaleWithModel",
            "inputs": {"upscale_model": ["2", 0], "image": ["1", 0]},
        },
        "save2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["plain", 0], "filename_prefix": "plain"},
        },
    }
    inputs = {"example.png": make_picture(mode="RGB")}
    report = run_workflow(graph, inputs=inputs, out=tmp_path)
    assert report.ok, report
    assert {Path(path).name[:5] for path in report.files} >= {"plain"}
