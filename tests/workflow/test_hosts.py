"""The three hosts on the same workflows: the same bytes from each, and the same refusals.

Needs COMFYUI_DIR, and a Python that runs that ComfyUI: this one, or SWIN2SR_COMFYUI_PYTHON.
"""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swin2sr_headless import Session, make_host, run_workflow
from swin2sr_headless.workflow.document.known_classes import core_classes
from swin2sr_headless.workflow.hosts import prompt_run
from swin2sr_headless.workflow.hosts.private_server import python_of

from .conftest import ROOT

FOLDER = ROOT / "example_workflows"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.json"))
GENERATING = "VAEDecode"
SMALL = {"width": 32, "height": 32, "batch_size": 2, "color": 0x336699}


# -- the workflows -------------------------------------------------------------------------------


def page(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def api(name: str) -> dict:
    return json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))


def without_checkpoint(document: dict) -> dict:
    """No checkpoint of gigabytes is here: an empty picture stands for what is generated."""
    if "nodes" in document:
        by_id = {node["id"]: node for node in document["nodes"]}
        for node in document["nodes"]:
            if node["type"] == GENERATING:
                node.update(type="EmptyImage", inputs=[], widgets_values=list(SMALL.values()))
        keep = reachable(document, by_id)
        document["nodes"] = [node for node in document["nodes"] if node["id"] in keep]
        document["links"] = [
            link for link in document["links"] if link[1] in keep and link[3] in keep
            and by_id[link[3]]["type"] != "EmptyImage"
        ]  # fmt: skip
        return document
    decoded = next((n for n, e in document.items() if e["class_type"] == GENERATING), None)
    if decoded is not None:
        document[decoded] = {"class_type": "EmptyImage", "inputs": dict(SMALL)}
    keep, todo = set(), [n for n, e in document.items() if e["class_type"] == "SaveImage"]
    todo = todo if decoded is not None else list(document)
    while todo:
        keep.add(node := todo.pop())
        todo += [v[0] for v in document[node]["inputs"].values() if isinstance(v, list)]
    return {n: e for n, e in document.items() if n in keep}


def reachable(document: dict, by_id: dict) -> set:
    if all(node["type"] != "EmptyImage" for node in document["nodes"]):
        return set(by_id)
    keep = {node["id"] for node in document["nodes"] if node["type"] == "SaveImage"}
    for _ in by_id:
        for link in document["links"]:
            if link[3] in keep and by_id[link[3]]["type"] != "EmptyImage":
                keep.add(link[1])
    return keep


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, str]:
    """Small files under every name that the examples read."""
    folder = tmp_path_factory.mktemp("inputs")
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 4), np.uint8)
    Image.fromarray(noise).save(folder / "example.png")
    with contextlib.suppress(ImportError):
        from clips import write_clip

        write_clip(folder / "input.mp4", sound=True)
    return {path.name: str(path) for path in folder.iterdir()}


def read_by(document: dict) -> set[str]:
    """The input files that a workflow names, in whichever format."""
    text = json.dumps(document)
    return {name for name in ("example.png", "input.mp4") if f'"{name}"' in text}


def jobs(inputs: dict[str, str], out: Path) -> list[dict]:
    """Every example in both formats, as arguments of `Session.run`."""
    made = []
    for name in EXAMPLES:
        for kind, read in (("page", page), ("api", api)):
            document = without_checkpoint(read(name))
            files = {each: inputs[each] for each in read_by(document) if each in inputs}
            place = str(out / name / kind)
            made.append({"workflow": document, "inputs": files, "out": place})
    return made


# -- the hosts -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_checkout(comfyui, downloads):
    """(jobs) -> reports of a session with a private server of the checkout."""
    with Session(make_host(comfyui=comfyui)) as session:

        def run(work: list[dict]) -> list[dict]:
            return [session.run(**job).to_dict() for job in work]

        yield run


class Server:
    """A real ComfyUI server in a process of its own, with this project's nodes."""

    def __init__(self, comfyui: Path, base: Path) -> None:
        for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
            (base / name).mkdir()
        (base / "custom_nodes" / "swin2sr").symlink_to(ROOT, target_is_directory=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        page = os.environ.get("COMFYUI_FRONTEND")  # as in tests/support/comfyui_server.py
        self.url = f"http://127.0.0.1:{port}"
        self.log = base / "log.txt"
        self.process = subprocess.Popen(
            [
                *(
                    python_of(comfyui),
                    "main.py",
                    "--cpu",
                    "--listen",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ),
                *("--disable-auto-launch", "--disable-api-nodes", "--base-directory", str(base)),
                *("--database-url", "sqlite:///:memory:"),
                *(("--front-end-root", page) if page else ()),
            ],
            cwd=comfyui,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        while self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/system_stats", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError(self.log.read_text()[-3000:])

    def kill_while_it_works(self) -> None:
        while True:
            with urllib.request.urlopen(f"{self.url}/queue", timeout=60) as answer:
                if json.load(answer)["queue_running"]:
                    break
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        self.process.wait()


@pytest.fixture(scope="module")
def server(comfyui, downloads, tmp_path_factory):
    made = Server(comfyui, tmp_path_factory.mktemp("server"))
    try:
        made.wait()
        yield made
    finally:
        made.kill()


# -- the same bytes ------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def downloads():
    """What examples would download is taken from the test data, where that is there."""
    named = os.environ.get("SWIN2SR_TEST_DATA")
    folder = (Path(named) if named else ROOT.parent / "shared" / "data") / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWIN2SR_MODELS_DIR", str(folder if folder.is_dir() else ROOT / "no such"))
        yield folder.is_dir()


@pytest.fixture(scope="module")
def results(inputs, from_checkout, server, tmp_path_factory) -> dict[str, list[dict]]:
    """Host -> reports of `jobs`."""
    folder = tmp_path_factory.mktemp("results")
    made = {"comfyui": from_checkout(jobs(inputs, folder / "comfyui"))}
    for name, host in (("embedded", make_host()), ("server", make_host(server=server.url))):
        with Session(host) as session:
            work = jobs(inputs, folder / name)
            made[name] = [session.run(job.pop("workflow"), **job).to_dict() for job in work]
    return made


@pytest.mark.parametrize("kind", ["page", "api"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_host_gives_the_same_bytes(name, kind, results, downloads, comfyui):
    index = 2 * EXAMPLES.index(name) + ("page", "api").index(kind)
    if "input.mp4" in json.dumps(api(name)):
        pytest.importorskip("av")
    reports = {host: each[index] for host, each in results.items()}
    if not downloads and "(download)" in json.dumps(api(name)):
        pytest.skip("it downloads models: put the test data into ../shared/data")
    if all(report["status"] == "refused" for report in reports.values()):
        kinds = {error["kind"] for report in reports.values() for error in report["errors"]}
        foreign = {error["class_type"] for error in reports["comfyui"]["errors"]}
        assert (kinds, foreign & core_classes()) == ({"unknown_class"}, set())
        pytest.skip(f"it needs another node pack, for {', '.join(sorted(foreign))}")
    for host, report in reports.items():
        assert (report["status"], report["host"]) == ("done", host), report["errors"]
    contents = {
        host: [content(Path(output["path"])) for output in sorted_outputs(report)]
        for host, report in reports.items()
    }
    assert contents["embedded"], "the workflow wrote nothing"
    assert contents["comfyui"] == contents["server"]
    if "input.mp4" in json.dumps(api(name)) and contents["embedded"] != contents["comfyui"]:
        version = (comfyui / "comfyui_version.py").read_text(encoding="utf-8")
        assert '"0.3.64"' not in version
        pytest.skip("the embedded host encodes videos as ComfyUI 0.3.64 does, not as this one")
    assert contents["embedded"] == contents["comfyui"]
    names = {
        host: [Path(o["path"]).name for o in report["outputs"] if o["type"] == "output"]
        for host, report in reports.items()
    }
    assert names["embedded"] == names["comfyui"]


def sorted_outputs(report: dict) -> list[dict]:
    """By node, then by name; names of previews are drawn by chance, but count up."""
    return sorted(report["outputs"], key=lambda o: (o["node"], o["path"]))


def content(path: Path) -> list[bytes]:
    """A file without its metadata: the chunks of a PNG but for texts, the packets of a video."""
    data = path.read_bytes()
    if path.suffix == ".png":
        chunks, at = [], 8
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if data[at + 4 : at + 8] not in (b"tEXt", b"iTXt", b"zTXt"):
                chunks.append(data[at : at + 12 + size])
            at += 12 + size
        return chunks
    import av  # pyright: ignore[reportMissingImports]

    with av.open(io.BytesIO(data)) as container:
        return [bytes(p) for p in container.demux() if p.size]


def test_the_comparison_sees_a_difference(tmp_path):
    for index in range(2):
        Image.new("RGB", (3, 3), (index, 0, 0)).save(tmp_path / f"{index}.png")
    assert content(tmp_path / "0.png") != content(tmp_path / "1.png")


MORE_NODES = [
    ("ImageScaleToTotalPixels", {"image": "batch", "upscale_method": "area", "megapixels": 0.01,
                                 "resolution_steps": 1}),
    ("ImageScaleToMaxDimension", {"image": "batch", "upscale_method": "bilinear",
                                  "largest_size": 37}),
    ("ImageCrop", {"image": "batch", "width": 11, "height": 40, "x": 5, "y": 3}),
    ("ImageToMask", {"image": "batch", "channel": "green"}),
    ("ImagePadForOutpaint", {"image": "batch", "left": 8, "top": 0, "right": 16, "bottom": 8,
                             "feathering": 5}),
    ("ImageBlend", {"image1": "batch", "image2": "load", "blend_factor": 0.3,
                    "blend_mode": "soft_light"}),
    ("ImageBlend", {"image1": "invert", "image2": "load", "blend_factor": 0.7,
                    "blend_mode": "overlay"}),
    ("ImageBlend", {"image1": "load", "image2": "empty", "blend_factor": 1.0,
                    "blend_mode": "difference"}),
    ("ImageBlend", {"image1": "empty", "image2": "load", "blend_factor": 0.5,
                    "blend_mode": "screen"}),
]  # fmt: skip
"""Classes with their inputs; a text that names a node is a link."""


def every_core_node() -> dict:
    """A graph of all the core nodes that the embedded host has, every method among them."""
    graph = {
        "load": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "empty": {"class_type": "EmptyImage", "inputs": SMALL | {"width": 20}},
        "invert": {"class_type": "ImageInvert", "inputs": {"image": ["load", 0]}},
        "batch": {
            "class_type": "ImageBatch",
            "inputs": {"image1": ["invert", 0], "image2": ["empty", 0]},
        },
        "text": {"class_type": "PreviewAny", "inputs": {"source": "some text"}},
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["batch", 0]}},
    }
    for number, (class_type, given) in enumerate(MORE_NODES):
        inputs = {n: [v, 0] if v in graph else v for n, v in given.items()}
        graph[f"more{number}"] = {"class_type": class_type, "inputs": inputs}
        source = f"more{number}"
        if class_type in ("ImageToMask", "InvertMask", "ImagePadForOutpaint"):
            slot = 1 if class_type == "ImagePadForOutpaint" else 0
            graph[f"seen{number}"] = {
                "class_type": "MaskToImage",
                "inputs": {"mask": [source, slot]},
            }
            source = f"seen{number}"
        graph[f"savemore{number}"] = {
            "class_type": "SaveImage",
            "inputs": {"images": [source, 0], "filename_prefix": f"more/{number}"},
        }
    methods = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
    for n, method in enumerate(methods):
        for m, (width, height, crop) in enumerate(
            [(13, 30, "center"), (50, 0, "disabled"), (30, 9, "center")]
        ):
            inputs = {"image": ["batch", 0], "upscale_method": method, "crop": crop}
            inputs |= {"width": width, "height": height}
            graph[f"scale{n}{m}"] = {"class_type": "ImageScale", "inputs": inputs}
        inputs = {"image": [f"scale{n}0", 0], "upscale_method": method, "scale_by": 1.37}
        graph[f"by{n}"] = {"class_type": "ImageScaleBy", "inputs": inputs}
        for source in (f"scale{n}1", f"scale{n}2", f"by{n}"):
            graph[f"save{source}"] = {
                "class_type": "SaveImage",
                "inputs": {"images": [source, 0], "filename_prefix": f"%width%/{source}"},
            }
    return graph


def test_core_nodes_do_what_comfyuis_do(from_checkout, inputs, tmp_path):
    files = {"example.png": inputs["example.png"]}
    graph = every_core_node()
    (theirs,) = from_checkout(
        [{"workflow": graph, "inputs": files, "out": str(tmp_path / "theirs")}]
    )
    ours = run_workflow(graph, inputs=files, out=tmp_path / "ours").to_dict()
    assert (theirs["status"], ours["status"]) == ("done", "done"), ours["errors"]
    assert theirs["texts"] == ours["texts"]
    pairs = list(zip(sorted_outputs(theirs), sorted_outputs(ours), strict=True))
    assert len(pairs) == 48 + 21
    for their, our in pairs:
        assert content(Path(their["path"])) == content(Path(our["path"])), their["path"]
        if their["type"] == "output":
            assert Path(their["path"]).relative_to(tmp_path / "theirs") == Path(
                our["path"]
            ).relative_to(tmp_path / "ours")


KINDS = ["L", "LA", "P", "1", "I", "I;16", "CMYK", "RGB", "RGBA", "gif", "jpg"]
LATER = {
    "P": 0,
    "RGB": 0,
    "RGBA": 0,
    "L": 1,
    "LA": 1,
    "1": 1,
    "I": 0,
    "I;16": 0,
    "gif": 2,
    "CMYK": 4,
}
"""How far, in 8 bits, ComfyUI 0.30 and later read from what 0.3 reads: docs/workflows.md."""


@pytest.mark.parametrize("mode", KINDS)
def test_pictures_of_all_kinds_are_read_alike(mode, kinds_read, comfyui):
    ours, theirs = kinds_read
    if '"0.3.' in (comfyui / "comfyui_version.py").read_text(encoding="utf-8"):
        assert len(ours[mode]) == len(theirs[mode]) > 0
        assert [content(path) for path in ours[mode]] == [content(path) for path in theirs[mode]]
        return
    as_8_bits = {"I": "I cut off", "I;16": "I;16 in 8 bits"}
    # Not the masks: theirs have the size and the frames of the picture more often.
    our, their = (
        [path for path in files if path.name.startswith("x")]
        for files in (ours[as_8_bits.get(mode, mode)], theirs[mode])
    )
    differences = [np.abs(pixels(a) - pixels(b)) for a, b in zip(our, their, strict=True)]
    if mode == "jpg":  # colours that the file has for four pixels at once: other filters between
        assert max(each.mean() for each in differences) < 2
    else:
        assert max(each.max() for each in differences) == LATER[mode]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.fixture(scope="module")
def kinds_read(from_checkout, tmp_path_factory):
    """Mode -> the files that come of what Load Image gives, ours and theirs."""
    folder = tmp_path_factory.mktemp("kinds")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
        "3": {"class_type": "LoadImageMask", "inputs": {"image": "x", "channel": "alpha"}},
        "4": {"class_type": "LoadImageMask", "inputs": {"image": "x", "channel": "green"}},
    }
    for mask, shown, saved in (("3", "5", "7"), ("4", "6", "8")):
        graph[shown] = {"class_type": "MaskToImage", "inputs": {"mask": [mask, 0]}}
        inputs = {"images": [shown, 0], "filename_prefix": f"mask{mask}"}
        graph[saved] = {"class_type": "SaveImage", "inputs": inputs}
    modes = [*KINDS, "I cut off", "I;16 in 8 bits"]
    work = []
    for mode in modes:
        path = picture_of(mode, folder)
        work.append(
            {"workflow": graph, "inputs": {"x": str(path)}, "out": str(folder / "t" / path.stem)}
        )
    ours: list[Any] = [
        run_workflow(**{**j, "out": j["out"].replace("/t/", "/o/")}).to_dict() for j in work
    ]
    theirs = from_checkout(work)
    return tuple(
        {
            mode: [Path(output["path"]) for output in sorted_outputs(report)]
            for mode, report in zip(modes, reports, strict=True)
        }
        for reports in (ours, theirs)
    )


def picture_of(mode: str, folder: Path) -> Path:
    # No smaller: ComfyUI 0.33 pads to a multiple of 32 by what is there, and fails on less.
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (33, 46, 4), np.uint8))
    name = mode.replace(";", "")
    if mode == "gif":
        frames = [noise.convert("RGB").rotate(90 * n) for n in range(3)]
        frames[0].save(folder / "gif.gif", save_all=True, append_images=frames[1:])
        return folder / "gif.gif"
    if mode == "CMYK":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned
        noise.convert("CMYK").save(folder / "CMYK.jpg", exif=exif)
        return folder / "CMYK.jpg"
    if mode == "jpg":
        with Image.open(ROOT / "examples" / "astronaut_128.png") as image:
            image.convert("RGB").save(folder / "jpg.jpg", quality=90)
        return folder / "jpg.jpg"
    if mode.startswith("I"):
        values = np.random.default_rng(2).integers(0, 65536, (33, 46)).astype(np.uint16)
        values[:9] //= 256
        if "cut" in mode:
            values = values.clip(0, 255).astype(np.uint8)
        elif "8 bits" in mode:
            values = (values / 65535 * 255).astype(np.uint8)
        image = Image.fromarray(values)
        (image.convert("I") if mode == "I" else image).save(folder / f"{name}.tif")
        return folder / f"{name}.tif"
    noise.convert(mode).save(folder / f"{name}.png")
    return folder / f"{name}.png"


# -- the same reports ----------------------------------------------------------------------------


def test_the_second_run_of_a_session_is_cached(from_checkout, upscaled, make_picture, tmp_path):
    files = {"example.png": str(make_picture(seed=77))}  # of no test before
    places = ["a", "a", "b"]
    work = [{"workflow": upscaled, "inputs": files, "out": str(tmp_path / p)} for p in places]
    states = [
        {node["id"]: node["state"] for node in report["nodes"]} for report in from_checkout(work)
    ]
    assert set(states[0].values()) == {"ran"}
    assert set(states[1].values()) == {"cached"}
    assert set(states[2].values()) == {"cached"}  # the server has the file, wherever we want it
    assert (tmp_path / "b" / "swin2sr" / "transparent_00001_.png").is_file()


REFUSED = {
    "missing": ("3", "images", None, "images"),
    "range": ("2", "width", -5, "-5"),
    "type": ("3", "images", ["1", 1], "MASK"),
    "class": ("2", "class_type", "Somebodys", "node"),
    "link": ("3", "images", ["99", 0], "99"),
    "cycle": ("2", "image", ["2", 0], "2 -> 2"),
    "outside": ("1", "image", "../x.png", "stay inside"),
    "prefix": ("3", "filename_prefix", "../x", "stay inside"),
}


def broken(what: str) -> dict:
    scale = {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "center"}
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "ImageScale", "inputs": scale},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    node, field, value, _ = REFUSED[what]
    if field == "class_type":
        graph[node]["class_type"] = value
    elif value is None:
        del graph[node]["inputs"][field]
    else:
        graph[node]["inputs"][field] = value
    return graph


@pytest.fixture(scope="module")
def refusals(from_checkout, server, inputs, tmp_path_factory):
    """Host -> what is wrong -> report."""
    out = str(tmp_path_factory.mktemp("refused"))
    files = {"example.png": inputs["example.png"]}
    work = {
        what: {"workflow": broken(what), "inputs": files if what != "outside" else {}, "out": out}
        for what in REFUSED
    }
    made = {"comfyui": dict(zip(work, from_checkout(list(work.values())), strict=True))}
    for name, where in (("embedded", {}), ("server", {"server": server.url})):
        made[name] = {k: run_workflow(**job, **where).to_dict() for k, job in work.items()}
    return made


@pytest.mark.parametrize("host", ["embedded", "comfyui", "server"])
@pytest.mark.parametrize("what", REFUSED)
def test_every_host_refuses_the_same_in_a_sentence(what, host, refusals):
    report = refusals[host][what]
    assert (report["status"], report["exit_code"]) == ("refused", 2), report
    error = report["errors"][0]
    assert error["node"] == REFUSED[what][0]
    assert REFUSED[what][3] in error["message"]
    assert "\n" not in error["message"]


def large(make_picture) -> dict:
    return {"example.png": str(make_picture(height=1200, width=1200, mode="RGB"))}


def test_a_run_in_the_checkout_times_out(from_checkout, upscaled, make_picture, tmp_path):
    job = {"workflow": upscaled, "inputs": large(make_picture), "out": str(tmp_path / "o")}
    timed_out, after = from_checkout(
        [job | {"timeout": 1.0}, job | {"inputs": {"example.png": str(make_picture("s.png"))}}]
    )
    assert (timed_out["status"], timed_out["exit_code"]) == ("timeout", 124)
    assert after["status"] == "done"


def test_a_run_on_the_server_times_out_and_is_cancelled(server, upscaled, make_picture, tmp_path):
    options = {"server": server.url, "out": tmp_path / "o"}
    report = run_workflow(upscaled, inputs=large(make_picture), timeout=1.0, **options)
    assert (report.status, report.exit_code) == ("timeout", 124)
    small = {"example.png": make_picture("s.png")}
    assert run_workflow(upscaled, inputs=small, timeout=60, **options).ok


def test_live_times_come_over_the_websocket(server, upscaled, make_picture, tmp_path):
    pytest.importorskip("websockets")
    told = []
    with Session(make_host(server=server.url)) as session:
        report = session.run(
            upscaled,
            inputs={"example.png": make_picture(seed=9)},
            out=tmp_path / "o",
            progress=lambda *step: told.append(step),
        )
    assert report.ok, report
    assert {node.id for node in report.nodes if node.seconds is not None} == set(upscaled)
    assert any("Swin2SR_TiledUpscale" in label for label, _, _ in told)


def test_a_server_that_is_killed_in_the_middle(
    comfyui, upscaled, make_picture, tmp_path, monkeypatch
):
    monkeypatch.setattr(prompt_run, "_PATIENCE", 2.0)
    (tmp_path / "base").mkdir()
    server = Server(comfyui, tmp_path / "base")
    try:
        server.wait()
        with Session(make_host(server=server.url)) as session:
            # Not before its number is known: what has no number yet is not lost, but not begun.
            report = session.run(
                upscaled,
                inputs=large(make_picture),
                out=tmp_path / "o",
                queued=lambda _: server.kill_while_it_works(),
            )
    finally:
        server.kill()
    assert (report.status, report.exit_code) == ("no_host", 3)
    assert "the server died while the workflow ran" in str(report.errors[0])
    assert not list(tmp_path.glob("o/**/*.png"))
