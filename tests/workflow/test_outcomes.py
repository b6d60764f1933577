"""Every outcome as JSON has the one shape that docs/workflows.md publishes."""

import json

import pytest

from swin2sr_headless.workflow.report import EXIT_CODES

from .conftest import GRAPHS, ROOT

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


@pytest.fixture(scope="session")
def schema() -> dict:
    text = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    return json.loads(text.partition("```json")[2].partition("```")[0])


def wrong(value, rule, whole, place="$") -> list[str]:
    """What does not follow the rule: the few words of JSON Schema that the document uses."""
    if "$ref" in rule:
        rule = whole["$defs"][rule["$ref"].rpartition("/")[2]]
    if "enum" in rule and value not in rule["enum"]:
        return [f"{place}: {value!r} is none of {rule['enum']}"]
    names = rule.get("type", [])
    names = [names] if isinstance(names, str) else names
    fits = any(
        value is None if name == "null" else isinstance(value, TYPES[name]) for name in names
    )
    if names and not fits:
        return [f"{place}: {value!r} is no {names}"]
    found = []
    if isinstance(value, dict) and "properties" in rule:
        found += [f"{place}: {name} is missing" for name in rule["required"] if name not in value]
        for name, each in value.items():
            known = rule["properties"].get(name)
            found += (
                [f"{place}: {name} is not known"]
                if known is None
                else wrong(each, known, whole, f"{place}.{name}")
            )
    if isinstance(value, list) and "items" in rule:
        for number, each in enumerate(value):
            found += wrong(each, rule["items"], whole, f"{place}[{number}]")
    return found


def test_a_document_that_is_wrong_is_found(schema):
    good = {"status": "done", "exit_code": 0, "seconds": 1, "errors": []}
    assert wrong(good, schema, schema) == []
    for change in ({"status": "error"}, {"error": "x"}, {"errors": [{"message": "x"}]}):
        assert wrong(good | change, schema, schema)
    assert wrong({"status": "done"}, schema, schema)


CASES = {
    "done": (["run", "w.json", "--input", "example.png=example.png"], 0),
    "failed": (["run", "odd.json", "--input", "example.png=example.png"], 1),
    "refused": (["run", "w.json"], 2),
    "no file": (["run", "nowhere.json"], 2),
    "mistyped": (["run", "w.json", "--set", "x"], 2),
    "unknown option": (["run", "w.json", "--nonsense"], 2),
    "nothing": (["run"], 2),
    "no server": (["run", "w.json", "--server", "127.0.0.1:9"], 3),
    "no checkout": (["run", "w.json", "--comfyui", "nowhere"], 3),
    "each": (["run", "w.json", "--each", "pictures", "--out", "large"], 0),
    "each into itself": (["run", "w.json", "--each", "pictures", "--out", "pictures"], 2),
    "each of nothing": (["run", "w.json", "--each", "nowhere"], 2),
    "resumed": (["run", "--resume", "x", "--server", "127.0.0.1:9"], 3),
    "converted": (["convert", "page.json", "-o", "api.json", "--definitions", "info.json"], 0),
    "not converted": (["convert", "broken.json", "-o", "no/x.json"], 2),
    "converted to nothing": (["convert", "nowhere", "-o", "x"], 2),
    "converted without an out": (["convert", "page.json"], 2),
    "no definitions": (["convert", "page.json", "-o", "y.json", "--definitions", "x:9"], 3),
}


@pytest.mark.parametrize("name", CASES)
def test_every_outcome_has_the_published_shape(
    name, schema, swin2sr, write, inverted, make_picture, tmp_path
):
    write(inverted, "w.json")
    odd = {
        "class_type": "ImageToMask",
        "inputs": {"image": ["1", 0], "channel": "alpha"},
    }
    shown = {"class_type": "MaskToImage", "inputs": {"mask": ["m", 0]}}
    saved = {"class_type": "SaveImage", "inputs": {"images": ["i", 0], "filename_prefix": "x"}}
    write({"1": inverted["1"], "m": odd, "i": shown, "s": saved}, "odd.json")
    write((GRAPHS / "plain.json").read_text(), "page.json")
    write((GRAPHS / "definitions.json").read_text(), "info.json")
    write("no JSON", "broken.json")
    make_picture(mode="RGB")
    (tmp_path / "pictures").mkdir()
    make_picture("a.png", folder=tmp_path / "pictures")
    arguments, code = CASES[name]
    done = swin2sr(*arguments, "--json")
    document = json.loads(done.stdout)
    assert wrong(document, schema, schema) == []
    assert (done.returncode, document["exit_code"]) == (code, code), done.stderr
    assert EXIT_CODES[document["status"]] == code
    assert code in (0, 1) or document["errors"] or document.get("files")
    if arguments[0] == "run" and name in ("done", "mistyped", "no server", "each"):
        lines = swin2sr(*arguments, "--json", "lines").stdout.splitlines()
        last = json.loads(lines[-1])
        assert (last["event"], last["exit_code"]) == ("report", code)
        assert wrong(last, schema, schema) == []
