"""swin2sr doctor and swin2sr report, as processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import swin2sr_core
from swin2sr_core.models.catalog import find_entry
from swin2sr_headless.diagnosis.extras import EXTRAS, version_of
from swin2sr_headless.diagnosis.kernels import find_kernels
from swin2sr_headless.diagnosis.privacy import scrubbed

ROOT = Path(swin2sr_core.__file__).parents[1]
USER = "wilhelmina"
KEY = "sk-3f9a77d0"


@pytest.fixture
def home(tmp_path):
    """A home of a user whose name must not be told, with nothing in it."""
    folder = tmp_path / "homes" / USER
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def run(home):
    """(words, **environment) -> exit code, standard output, standard error."""

    def run(*words, **more):
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        without = {k: v for k, v in os.environ.items() if k != "COMFYUI_DIR"}
        own = {"HOME": str(home), "USERPROFILE": str(home), "USER": USER, "PYTHONPATH": paths}
        own |= {"SWIN2SR_CACHE_DIR": str(home / "cache"), "SWIN2SR_MODELS_DIR": str(home / "m")}
        command = [sys.executable, "-m", "swin2sr_core", *map(str, words)]
        done = subprocess.run(
            command, env=without | own | more, capture_output=True, text=True, cwd=home, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


def checkout(folder, version="0.33.0", packs=0):
    """The files by which a checkout of ComfyUI is known."""
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text(f'# made\n__version__ = "{version}"\n')
    for number in range(packs):
        pack = folder / "custom_nodes" / f"pack{number}" / "nodes"
        pack.mkdir(parents=True)
        (pack / "tiled_upscale.py").touch()
    return folder


def test_nothing_is_broken_where_things_are_merely_missing(run):
    code, out, err = run("doctor", "--json")
    document = json.loads(out)
    assert (code, err, document["status"], document["broken"]) == (0, "", "ok", [])
    (chosen,) = [each for each in document["devices"] if each["chosen"]]
    assert chosen["auto"] in ("fp32", "bf16", "fp16")
    assert chosen["precisions"]["fp32"] == "fast"
    cpu = document["devices"][-1]
    assert cpu["name"] == "cpu" and 0 < cpu["free_bytes"] < cpu["total_bytes"]
    here = {each["name"]: each["here"] for each in document["models"]}
    assert here["compact-x4"] and here["yunet"] and not here["classical-x4"]
    assert document["comfyui"] == []


def test_the_table_says_how_to_get_what_is_missing(run):
    code, out, _ = run("doctor", SWIN2SR_KERNELS="reference")
    assert code == 0
    assert "swin2sr models download classical-x4" in out
    assert "SWIN2SR_KERNELS=reference" in out
    assert out.endswith("nothing is broken\n")


def test_a_card_has_kernels_of_its_own(monkeypatch):
    monkeypatch.setenv("SWIN2SR_KERNELS", "auto")
    found = find_kernels(["cuda", "cuda", "cpu"])
    assert [(each.device, each.precision) for each in found] == [
        *(("cuda", precision) for precision in ("fp32", "fp16", "bf16")),
        *(("cpu", precision) for precision in ("fp32", "bf16")),
    ]
    assert found[0].reason == "a graphics card's kernel is chosen at the first run there"


def test_a_limit_on_memory_is_named(run):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, before[1]))
    try:
        _, out, _ = run("doctor", "--json")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    memory = json.loads(out)["memory"]
    assert memory["free_bytes"] < 16 << 30
    assert memory["limited_by"] in ("a limit on the address space", "the system", "a control group")


def test_what_was_promised_and_does_not_hold_is_broken(run, home):
    entry = find_entry("classical-x2")
    (home / "m").mkdir()
    (home / "m" / entry.file_name).write_bytes(b"half of it")
    code, out, err = run("doctor", "--json", SWIN2SR_KERNELS="fastest")
    document = json.loads(out)
    assert (code, document["exit_code"], document["status"]) == (1, 1, "error")
    damaged, setting = document["broken"]
    assert "classical-x2 has 10 bytes, not 68,764,341: the file is damaged" in damaged
    assert "SWIN2SR_KERNELS must be one of auto, reference, got 'fastest'" in setting
    assert err.count("swin2sr: error: ") == 2


def test_a_library_of_kernels_that_cannot_be_loaded_is_broken(run, home):
    from swin2sr_core.kernels import library

    if library.find() is not None and library.find().parent == library.folders()[0]:
        pytest.skip("this checkout has kernels beside the sources, which come first")
    folder = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    place = folder / "swin2sr" / "kernels"
    place.mkdir(parents=True)
    (place / library.file_name()).write_bytes(b"no library")
    code, _, err = run("doctor", XDG_CACHE_HOME=str(folder), LOCALAPPDATA=str(folder))
    assert code == 1 and "cannot be loaded; build it again" in err


def test_comfyui_is_found_in_the_usual_places_and_by_name(run, home):
    there = checkout(home / "ComfyUI", packs=1)
    code, out, _ = run("doctor", "--json")
    assert code == 0
    found = [(each["path"], each["version"], each["copies"]) for each in json.loads(out)["comfyui"]]
    assert found == [(str(there.resolve()), "0.33.0", 1)]
    code, _, err = run("doctor", "--comfyui", home)
    assert code == 1 and "is no ComfyUI checkout: it has no main.py" in err


def test_an_old_comfyui_and_two_copies_of_the_pack_are_broken(run, tmp_path):
    there = checkout(tmp_path / "old", version="0.3.40", packs=2)
    code, out, _ = run("doctor", "--json", COMFYUI_DIR=str(there))
    old, twice = json.loads(out)["broken"]
    assert code == 1
    assert "ComfyUI 0.3.40 is older than 0.3.64" in old
    assert "2 folders in" in twice and "remove the others" in twice


@pytest.mark.skipif("COMFYUI_DIR" not in os.environ, reason="no real ComfyUI: set COMFYUI_DIR")
def test_a_real_comfyui_is_known(run):
    there = os.environ["COMFYUI_DIR"]
    code, out, _ = run("doctor", "--json", "--comfyui", there)
    (found,) = json.loads(out)["comfyui"]
    assert code == 0 and found["version"].startswith("0.")


# -- report ------------------------------------------------------------------------------------


def test_a_report_has_versions_devices_a_plan_and_the_last_error(run, home):
    assert run("upscale", home / "anna at the sea.png", "--max-memory", "1GB")[0] == 2
    code, out, err = run("report", "640x480", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["versions"]["swin2sr"] == swin2sr_core.__version__
    assert document["planned"]["size"] == [640, 480]
    assert document["planned"]["plan"]["output_size"] == [2560, 1920]
    last = document["last_error"]
    assert last["command"] == "upscale --max-memory" and last["kind"] == "InputError"
    assert last["error"] == "there is no file or folder <file.png>; check the name"
    assert last["where"][-1].startswith("swin2sr_core/pictures/input_paths.py:")


def test_a_report_tells_nothing_private(run, home, tmp_path):
    checkout(home / "ComfyUI")
    workflow = home / "secret plans" / "graph.json"
    workflow.parent.mkdir()
    workflow.write_text("{")
    server = f"http://{USER}:{KEY}@127.0.0.1:9/?token={KEY}"
    assert run("run", workflow, "--server", server, "--api-key", KEY)[0] != 0
    for words in (["report"], ["report", "--json"], ["report", "--model", workflow]):
        code, out, err = run(*words, COMFY_API_KEY=KEY)
        assert (code, err) == (0, "")
        for private in (USER, KEY, "secret plans", "graph", str(tmp_path), str(ROOT)):
            assert private not in out, private
    assert "run --server --api-key" in out


def test_mistyped_commands_do_not_hide_the_last_error(run, home):
    assert run("upscale", home / "a.png")[0] == 2
    assert run("upscale", "--sclae", "2")[0] == 2
    _, out, _ = run("report")
    assert "there is no file or folder <file.png>" in out and "sclae" not in out


def test_a_report_for_what_cannot_be_planned_says_why(run):
    code, out, _ = run("report", "8000x8000", "--max-memory", "400MB")
    assert code == 0 and "the smallest budget that works is" in out
    code, _, err = run("report", "photo.jpg")
    assert code == 2 and "a report plans for a size, as 1920x1080, got 'photo.jpg'" in err


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("no file /home/anna/My Pictures/a b.jpg; check", [], "no file <file.jpg>; check"),
        (r"no file C:\Users\anna\x.png: look", [], "no file <file.png>: look"),
        ("holiday.jpeg: damaged", [], "<file.jpeg>: damaged"),
        ("from https://u:p@host/x?token=1 came 404", [], "from <address> came 404"),
        ("the folder photos-2024 is full", ["photos-2024"], "the folder <value> is full"),
        ("out of memory: give 1.5 GB", ["1.5"], "out of memory: give <value> GB"),
        ("expected 3/4 channels, got 5", [], "expected 3/4 channels, got 5"),
    ],
)
def test_private_words_are_taken_out(text, words, left):
    assert scrubbed(text, words) == left


# -- the extras --------------------------------------------------------------------------------


def test_the_extras_are_those_of_the_package():
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = declared["optional-dependencies"]
    for extra in EXTRAS:
        wanted = {name.partition("[")[0].partition(">")[0] for name in known[extra.name]}
        assert wanted == set(extra.packages), extra.name
    for_work = {"test", "test-deploy", "web", "train", "bench", "dev", "server"}
    assert set(known) - for_work == {extra.name for extra in EXTRAS}


def test_what_is_installed_is_found_by_its_module():
    import importlib.util

    for extra in EXTRAS:
        for package, module in extra.packages.items():
            if version_of(package):
                assert importlib.util.find_spec(module) is not None, package
