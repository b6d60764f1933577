"""What can be wrong with a workflow: one sentence each, before anything runs."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from swin2sr_headless.workflow.document.paths import escape
from swin2sr_headless.workflow.runner import run_workflow

from .conftest import ROOT


@pytest.fixture
def refused(tmp_path, make_picture):
    """(workflow, **arguments) -> the sentences of a run that is refused."""

    def run(workflow, **arguments):
        out = tmp_path / "out"
        arguments.setdefault("inputs", {"example.png": make_picture()})
        report = run_workflow(workflow, out=out, **arguments)
        assert (report.status, report.exit_code) == ("refused", 2), report
        assert not out.exists()
        for error in report.errors:
            assert error.message
            assert "\n" not in str(error)
        return [str(error) for error in report.errors]

    return run


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"1": {"class_type": ',
            "bad.json is not valid JSON: Expecting value in line 1, column 22",
        ),
        ("", "bad.json is not valid JSON: Expecting value in line 1, column 1"),
        ("[1, 2]", "bad.json holds a list, expected an object with nodes"),
        ("{}", "bad.json is JSON, but no workflow"),
        ('{"a": 1}', "bad.json is JSON, but no workflow"),
        ('{"nodes": []}', "bad.json has no nodes that would run"),
        ('{"1": {"class_type": 5, "inputs": {}}}', "node 1: class_type must be the name of a node"),
        ('{"1": {"class_type": "X"}, "2": {"inputs": {}}}', "node 2 has no class_type"),
        ('{"1": {"class_type": "X", "inputs": []}}', "node 1 (X): inputs must be an object"),
        ('{"1": {"class_type": "X", "inputs": {"a": [1]}}}', "its input a is [1], and a list must"),
        ("[" * 100000, "bad.json is nested too deeply"),
    ],
)
def test_malformed_json(text, sentence, refused, write):
    (found,) = refused(write(text, "bad.json"))
    assert sentence in found


def test_bytes_that_are_no_text(refused, tmp_path):
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe{}")
    assert "bad.json is no text in UTF-8 (byte 0)" in refused(tmp_path / "bad.json")[0]


def test_no_such_file(refused, tmp_path):
    (sentence,) = refused(tmp_path / "gone.json")
    assert "cannot read the workflow" in sentence
    assert "No such file" in sentence


def test_a_picture_without_a_workflow(refused, make_picture):
    assert "carries no workflow" in refused(make_picture("plain.png"))[0]


def test_a_cycle(refused, inverted):
    inverted["1"] = {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}}
    (sentence,) = refused(inverted, inputs={})
    assert "its input depends on its own output (2 -> 1 -> 2); remove one" in sentence


def test_a_missing_input(refused, inverted):
    del inverted["3"]["inputs"]["images"]
    assert refused(inverted) == [
        "node 3 (SaveImage): the input images (IMAGE) is missing; connect it"
    ]


def test_a_missing_value(refused, upscaled):
    del upscaled["3"]["inputs"]["scale"]
    (sentence,) = refused(upscaled)
    assert sentence.endswith("the input scale (FLOAT) is missing; give it a value")


def test_several_mistakes_are_told_together(refused, upscaled):
    del upscaled["3"]["inputs"]["scale"]
    upscaled["3"]["inputs"]["sharpen"] = 7
    upscaled["4"]["inputs"]["images"] = ["2", 0]
    assert len(refused(upscaled)) >= 1
    upscaled["4"]["inputs"]["images"] = ["3", 0]
    assert len(refused(upscaled)) == 2


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("scale", "four", "scale must be a number, got 'four'"),
        ("scale", None, "scale must be a number, got None"),
        ("longest_side", {"a": 1}, "longest_side must be a whole number, got {'a': 1}"),
        ("image", "text", "the input image wants a link to a IMAGE, got 'text'"),
        ("image", ["2", 0], "wants IMAGE, and node 2 (Swin2SR_Load) gives UPSCALE_MODEL there"),
        ("image", ["1", 5], "wants output 5 of node 1 (LoadImage), which has 2"),
        ("scale", 99, "scale must be from 0.25 to 4, got 99"),
        ("scale", float("nan"), "scale must be from 0.25 to 4, got nan"),
        ("scale", float("inf"), "scale must be from 0.25 to 4, got inf"),
        ("tile_size", -8, "tile_size must be from 0 to 4096, got -8"),
        ("edge", "soft", "edge must be one of reflect, wrap; got 'soft'"),
    ],
)
def test_wrong_types_and_values(field, value, sentence, refused, upscaled):
    upscaled["3"]["inputs"][field] = value
    (found,) = refused(upscaled)
    assert found.startswith("node 3 (Swin2SR_TiledUpscale): ")
    assert sentence in found


def test_numbers_as_text_are_numbers(swin2sr_workflow, upscaled, make_picture):
    inputs = {"example.png": make_picture()}
    swin2sr_workflow(upscaled, inputs=inputs, values={"3.scale": "2", "3.longest_side": "40"})


@pytest.mark.parametrize(
    ("name", "host"),
    [("KSampler", "--comfyui DIR or --server URL"), ("Somebodys", "run it with --server URL")],
)
def test_an_unknown_class_says_who_has_it(name, host, refused, inverted):
    inverted["2"]["class_type"] = name
    (sentence,) = refused(inverted)
    assert sentence.startswith(f"node 2 ({name}): ")
    assert host in sentence


def test_a_link_to_a_node_that_is_not_there(refused, inverted):
    inverted["3"]["inputs"]["images"] = ["17", 0]
    assert refused(inverted) == [
        "node 3 (SaveImage): its input images comes from node 17, which is not in the workflow"
    ]


def test_nothing_to_do(refused, inverted):
    del inverted["3"]
    assert "no node of the workflow saves or shows anything" in refused(inverted)[0]


def test_a_picture_that_is_not_given(refused, inverted):
    (sentence,) = refused(inverted, inputs={})
    assert (
        "there is no input picture example.png; give it with --input example.png=FILE" in sentence
    )


def test_inputs_that_nobody_reads(refused, inverted, make_picture):
    (sentence,) = refused(inverted, inputs={"exmaple.png": make_picture()})
    assert sentence == (
        "no node reads an input called exmaple.png; the workflow reads: example.png"
    )


# -- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", "\\\\host\\a.png"]
)
def test_inputs_stay_in_their_folder(name, refused, inverted):
    inverted["1"]["inputs"]["image"] = name
    (sentence,) = refused(inverted, inputs={})
    assert sentence.startswith("node 1 (LoadImage): ")
    assert "names stay inside the input folder" in sentence


@pytest.mark.parametrize("prefix", ["../x", "a/../../x", "/tmp/x", "C:/x"])
def test_outputs_stay_in_their_folder(prefix, refused, inverted):
    inverted["3"]["inputs"]["filename_prefix"] = prefix
    (sentence,) = refused(inverted)
    assert sentence.startswith("node 3 (SaveImage): filename_prefix: ")
    assert "names stay inside the output folder" in sentence


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_do_not_lead_out(inverted, make_picture, tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    make_picture("secret.png", folder=outside)
    (inside / "example.png").symlink_to(outside / "secret.png")
    report = run_workflow(inverted, out=tmp_path / "out", input_dir=inside)
    assert report.status == "refused"
    assert "symbolic link that leads out" in str(report.errors[0])
    out = tmp_path / "out"
    out.mkdir()
    (out / "made").symlink_to(outside)
    report = run_workflow(inverted, out=out, inputs={"example.png": make_picture()})
    assert report.status == "refused"
    assert "symbolic link that leads out" in str(report.errors[0])
    assert [path.name for path in outside.iterdir()] == ["secret.png"]


def test_names_that_look_bad_but_are_good():
    for name in ("a..b.png", "x/../a.png", "...", "%date%/x", "a [output]"):
        assert escape(name, "output") == ""


# -- the command line ------------------------------------------------------------------------------


def test_exit_codes_and_json(swin2sr, inverted, write, make_picture, tmp_path):
    make_picture()
    write(inverted)
    run = swin2sr("run", "workflow.json", "--input", "example.png=example.png", "--json")
    document = json.loads(run.stdout)
    assert (run.returncode, document["status"], document["exit_code"]) == (0, "done", 0)
    (output,) = document["outputs"]
    assert output["path"].endswith("x_00001_.png")
    assert run.stderr == ""
    run = swin2sr("run", "workflow.json", "--set", "3.images=7", "--json")
    document = json.loads(run.stdout)
    assert (run.returncode, document["status"]) == (2, "refused")
    assert [error["node"] for error in document["errors"]] == ["3"]
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--set", "3.images"], 2, "--set wants NODE.FIELD=VALUE, got '3.images'"),
        (["--input", "=x"], 2, "--input wants NAME=FILE, got '=x'"),
        (["--comfyui", "a", "--server", "b"], 2, "choose one host"),
        (["--comfyui", "nowhere"], 3, "nowhere is no ComfyUI checkout: it has no main.py"),
        (["--models", "nowhere"], 3, "there is no folder nowhere with models"),
        (["--server", "ftp://x"], 2, "--server wants an address like http://127.0.0.1:8188"),
        (["--timeout", "0"], 2, "expected a number of seconds over 0, got '0'"),
        (["--each", "nowhere"], 2, "there is no folder nowhere; check --each"),
        (["--each-as", "x"], 2, "give --each DIR"),
    ],
)
def test_mistyped_options(arguments, code, sentence, swin2sr, inverted, write):
    write(inverted)
    run = swin2sr("run", "workflow.json", *arguments)
    assert run.returncode == code, run.stderr
    assert run.stderr.startswith("swin2sr: error: ")
    assert sentence in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_package_without_its_nodes_says_so(inverted, write, make_picture, tmp_path):
    """As where somebody has copied the packages and not the pack."""
    place = tmp_path / "installed"
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for name in ("swin2sr_core", "swin2sr_headless"):
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    make_picture()
    code = (
        "import sys; sys.modules['swin2sr_pack'] = None\n"  # it may be installed here
        "from swin2sr_headless.cli.main import main; sys.exit(main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "run", str(write(inverted))],
        cwd=place,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 3
    assert run.stderr.startswith("swin2sr: error: the nodes of Swin2SR are not installed")
    assert "git clone" in run.stderr
    assert run.stderr.count("\n") == 1
