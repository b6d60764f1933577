"""The example workflows: whole, the same in both formats, and each of them runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
NOTES = ("Note", "MarkdownNote")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def to_api(graph: dict) -> dict:
    """The API format of a workflow as the page saves it, without subgraphs and muted nodes."""
    links = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    prompt = {}
    for node in graph["nodes"]:
        if node["type"] in NOTES:
            continue
        inputs, values = {}, iter(node.get("widgets_values", ()))
        for socket in node["inputs"]:
            if "widget" in socket:
                inputs[socket["name"]] = next(values)
                if socket["name"] == "seed":
                    next(values)  # what to do with it after a run
            if socket["link"] is not None:
                inputs[socket["name"]] = links[socket["link"]]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def test_there_are_four_of_them():
    assert len(NAMES) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_both_formats_say_the_same(name):
    api = read(FOLDER / "api" / f"{name}.json")
    converted = to_api(read(FOLDER / f"{name}.json"))
    for node, entry in api.items():
        page = converted.pop(node)
        assert page["class_type"] == entry["class_type"]
        extra = {"upload"} & page["inputs"].keys()
        assert {k: v for k, v in page["inputs"].items() if k not in extra} == entry["inputs"]
    assert converted == {}


@pytest.mark.parametrize("name", NAMES)
def test_links_join_what_is_there(name):
    graph = read(FOLDER / f"{name}.json")
    nodes = {node["id"]: node for node in graph["nodes"]}
    for link, source, slot, target, socket, kind in graph["links"]:
        assert link in nodes[source]["outputs"][slot]["links"]
        assert nodes[source]["outputs"][slot]["type"] == kind
        assert nodes[target]["inputs"][socket]["link"] == link
    assert graph["last_node_id"] == max(nodes)


@pytest.mark.parametrize("name", NAMES)
def test_our_nodes_have_every_widget_at_its_place(name, node_list):
    schemas = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in node_list}
    used = [n for n in read(FOLDER / f"{name}.json")["nodes"] if n["type"] in schemas]
    assert {"Swin2SR_Load", "Swin2SR_TiledUpscale"} <= {n["type"] for n in used}
    for node in used:
        widgets = [each for each in schemas[node["type"]].inputs if hasattr(each, "default")]
        assert [s["name"] for s in node["inputs"] if "widget" in s] == [w.id for w in widgets]
        assert len(node["widgets_values"]) == len(widgets)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_small_picture(name):
    path = FOLDER / f"{name}.jpg"
    with Image.open(path) as image:
        image.load()
        assert 300 <= max(image.size) <= 800
    assert path.stat().st_size < 100_000


# -- running them in a real ComfyUI --------------------------------------------------------------


@pytest.fixture
def prompt(host, base: Path):
    """(name) -> the workflow in API format, with small input in ComfyUI's input folder."""
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 4), np.uint8)
    Image.fromarray(noise).save(base / "input" / "example.png")
    return lambda name: read(FOLDER / "api" / f"{name}.json")


def pictures(base: Path, outputs) -> list[Image.Image]:
    entries = [e for made in outputs.values() for e in made.get("images", ())]
    return [Image.open(base / "output" / e["subfolder"] / e["filename"]) for e in entries]


def test_upscale_picture_runs(prompt, queue, base):
    result = queue(prompt("upscale_picture"))
    assert result.status == "execution_success", result.error
    (image,) = pictures(base, result.outputs)
    assert (image.size, image.mode) == ((96, 64), "RGB")
    assert "24x16 -> 96x64" in result.outputs["5"]["text"][0]


def test_transparent_picture_runs(prompt, queue, base):
    result = queue(prompt("transparent_picture"))
    assert result.status == "execution_success", result.error
    (image,) = pictures(base, result.outputs)
    assert (image.size, image.mode) == ((96, 64), "RGBA")


def test_generation_runs_from_the_decoded_picture_on(prompt, queue, base):
    """No checkpoint of gigabytes is here: an empty picture stands for what is generated."""
    flow = prompt("generate_512_to_2048")
    decoded = next(n for n, e in flow.items() if e["class_type"] == "VAEDecode")
    latent = next(e["inputs"] for e in flow.values() if e["class_type"] == "EmptyLatentImage")
    assert (latent["width"], latent["height"]) == (512, 512)
    size = {"width": 32, "height": 32, "batch_size": 1, "color": 0x336699}
    ours = {n: e for n, e in flow.items() if e["class_type"].startswith(("Swin2SR", "Save"))}
    ours[decoded] = {"class_type": "EmptyImage", "inputs": size}
    result = queue(ours)
    assert result.status == "execution_success", result.error
    (image,) = pictures(base, result.outputs)
    assert image.size == (128, 128)


def test_video_frames_run(prompt, queue, base):
    av = pytest.importorskip("av")
    from clips import write_clip

    write_clip(base / "input" / "input.mp4")
    result = queue(prompt("video_frames_x2"))
    assert result.status == "execution_success", result.error
    (made,) = (base / "output" / "swin2sr").glob("video*.mp4")
    with av.open(str(made)) as container:
        frames = list(container.decode(video=0))
    assert [(f.width, f.height) for f in frames] == [(96, 64)] * 3
