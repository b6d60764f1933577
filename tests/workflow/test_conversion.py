"""swin2sr convert: files and folders, where definitions come from, and what is refused."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from swin2sr_headless.workflow.conversion import Conversion, pairs_of
from swin2sr_headless.workflow.definition_sources import EMBEDDED, definitions_from
from swin2sr_headless.workflow.hosts.embedded import EmbeddedHost
from swin2sr_headless.workflow.problems import WorkflowError

from .conftest import GRAPHS, ROOT

DEFINITIONS = GRAPHS / "definitions.json"


def document(done) -> dict:
    return json.loads(done.stdout)


def test_a_file(swin2sr, tmp_path):
    source = GRAPHS / "plain.json"
    done = swin2sr("convert", source, "-o", "out.json", "--definitions", DEFINITIONS, "--json")
    told = document(done)
    assert (done.returncode, told["status"], told["converted"]) == (0, "done", 1)
    assert told["files"][0]["path"] == "out.json"
    wanted = json.loads((GRAPHS / "plain.api.json").read_text())
    assert json.loads((tmp_path / "out.json").read_text()) == wanted
    again = swin2sr("convert", source, "-o", "out.json", "--definitions", DEFINITIONS)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    options = ("--definitions", DEFINITIONS, "--overwrite")
    assert swin2sr("convert", source, "-o", "out.json", *options).returncode == 0
    assert swin2sr("convert", source, "-o", "new/", *options).returncode == 0
    assert (tmp_path / "new" / "plain.json").is_file()


def test_a_folder_with_some_that_are_refused(write, swin2sr, tmp_path):
    folder = tmp_path / "graphs"
    (folder / "deep").mkdir(parents=True)
    plain = json.loads((GRAPHS / "plain.json").read_text())
    (folder / "a.json").write_text(json.dumps(plain))
    (folder / "deep" / "b.json").write_text(json.dumps(plain))
    (folder / "text.json").write_text("no JSON")
    plain["nodes"][0]["type"] = "Nobodys"
    (folder / "unknown.json").write_text(json.dumps(plain))
    done = swin2sr("convert", folder, "-o", "api", "--definitions", DEFINITIONS, "--json")
    told = document(done)
    assert (done.returncode, told["status"], told["exit_code"]) == (2, "refused", 2)
    assert (told["converted"], told["refused"]) == (2, 2)
    by_name = {each["source"].rpartition("graphs/")[2]: each for each in told["files"]}
    assert {name: each["status"] for name, each in by_name.items()} == {
        "a.json": "done",
        "deep/b.json": "done",
        "text.json": "refused",
        "unknown.json": "refused",
    }
    assert by_name["unknown.json"]["errors"][0]["kind"] == "unknown_class"
    written = {
        str(path.relative_to(tmp_path / "api")) for path in (tmp_path / "api").rglob("*.json")
    }
    assert written == {"a.json", "deep/b.json"}


def test_a_workflow_is_never_written_over(tmp_path):
    for name in ("a.json", "a.png"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "b").mkdir()
    for source, out in ((tmp_path / "a.json", tmp_path / "a.json"), (tmp_path, tmp_path)):
        with pytest.raises(WorkflowError, match=r"choose another -o|would both become"):
            pairs_of(source, str(out))
    with pytest.raises(WorkflowError, match="would both become"):
        pairs_of(tmp_path, str(tmp_path / "b"))
    (tmp_path / "a.png").unlink()
    assert pairs_of(tmp_path, str(tmp_path / "b")) == [
        (tmp_path / "a.json", tmp_path / "b" / "a.json")
    ]
    with pytest.raises(WorkflowError, match="there are no workflows"):
        pairs_of(tmp_path / "b", "x")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no JSON", "is not valid JSON"),
        (b"[]", "holds no definitions of nodes"),
        (b'{"a": 1}', "holds no definitions of nodes"),
        (None, "there is no"),
    ],
)
def test_definitions_that_are_none(content, sentence, tmp_path):
    path = tmp_path / "info.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkflowError, match=sentence):
        definitions_from(str(path))


def test_the_definitions_that_come_along_are_the_hosts():
    """Written by hand once; this fails where a node has changed since."""
    host = EmbeddedHost()
    told = host.told_definitions()
    host.close()
    assert json.loads(EMBEDDED.read_text(encoding="utf-8")) == json.loads(json.dumps(told))


def test_our_own_examples_need_no_definitions(tmp_path):
    examples = ROOT / "example_workflows"
    names = ("upscale_picture", "video_frames_x2", "transparent_picture", "faces_two_stage")
    pairs = [(examples / f"{name}.json", tmp_path / f"{name}.json") for name in names]
    conversion = Conversion(pairs, definitions_from(None))
    conversion.run()
    assert [each.problems for each in conversion.done] == [()] * len(names)
    for name in names:
        wanted = json.loads((examples / "api" / f"{name}.json").read_text(encoding="utf-8"))
        got = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert {n: e["inputs"] for n, e in got.items()} == {
            n: e["inputs"] for n, e in wanted.items()
        }


def test_torch_is_not_imported(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-m", "swin2sr_core", "convert"),
            *(str(GRAPHS / "plain.json"), "-o", "x.json", "--definitions", str(DEFINITIONS)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "swin2sr_headless" in names
    assert not names & {"torch", "numpy", "PIL"}


def test_a_webp_carries_a_workflow_in_its_exif(tmp_path):
    prompt = (GRAPHS / "plain.api.json").read_text()
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{prompt}"
    Image.new("RGB", (4, 4)).save(tmp_path / "made.webp", exif=exif)
    conversion = Conversion(pairs_of(tmp_path / "made.webp", str(tmp_path / "x.json")), {})
    conversion.run()
    assert conversion.done[0].problems == ()
    assert json.loads((tmp_path / "x.json").read_text()) == json.loads(prompt)
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.webp")
    conversion = Conversion(pairs_of(tmp_path / "plain.webp", str(tmp_path / "y.json")), {})
    conversion.run()
    assert "carries no workflow" in str(conversion.done[0].problems[0])
