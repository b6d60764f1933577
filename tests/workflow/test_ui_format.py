"""From the page's format to a prompt: as the frontend's own export, and what is refused.

The goldens were exported by ComfyUI's frontend 1.58.1: `app.graphToPrompt()` of the graph beside.
"""

import copy
import json

import pytest

from swin2sr_headless.workflow.document.graph import check_links, to_api
from swin2sr_headless.workflow.document.queued_texts import chosen, filled_in
from swin2sr_headless.workflow.document.ui_document import BYPASSED, Socket, UiNode, parse_ui
from swin2sr_headless.workflow.document.ui_format import _bypass, convert
from swin2sr_headless.workflow.problems import WorkflowError

from .conftest import GRAPHS

NAMES = sorted(path.name.removesuffix(".api.json") for path in GRAPHS.glob("*.api.json"))


def read(name: str) -> dict:
    return json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def converted(definitions):
    """(page's JSON) -> the prompt as JSON."""
    explain = lambda _name: "nobody has it"  # noqa: E731
    return lambda document: to_api(convert(parse_ui(document), definitions, explain))


def test_there_are_more_than_ten_with_everything_among_them():
    assert len(NAMES) >= 10
    texts = [json.dumps(read(name)) for name in NAMES]
    for what in ('"Reroute"', '"PrimitiveNode"', '"mode": 2', '"mode": 4', '"subgraphs"'):
        assert sum(what in text for text in texts) >= 2, what


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_is_the_frontends(name, converted):
    assert converted(read(name)) == json.loads((GRAPHS / f"{name}.api.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_changed_and_all_links_hold(name, definitions):
    document = read(name)
    before = copy.deepcopy(document)
    check_links(convert(parse_ui(document), definitions, str))
    assert document == before


def test_a_difference_would_be_found(converted):
    document = read("subgraph_values")
    document["nodes"][2]["widgets_values"][0] = 1.5
    assert converted(document) != json.loads((GRAPHS / "subgraph_values.api.json").read_text())


@pytest.mark.parametrize(
    ("inputs", "outputs", "slot", "kind", "handed_on"),
    [
        (["MASK", "IMAGE"], ["IMAGE"], 0, "IMAGE", 1),  # not the one at the same place
        (["IMAGE", "IMAGE"], ["MASK", "IMAGE"], 1, "IMAGE", 1),  # the one at the same place
        (["*", "MASK", "IMAGE"], ["MASK", "IMAGE"], 1, "IMAGE", 2),  # the very type before any
        (["*", "MASK"], ["MASK", "IMAGE"], 1, "IMAGE", 0),
        (["MASK"], ["IMAGE"], 0, "IMAGE", None),
        (["MASK", "IMAGE"], ["X", "Y"], 1, "*", 1),  # whatever takes all
        (["MASK"], ["X", "Y"], 1, "*", 0),
        ([], ["X"], 0, "*", None),
    ],
)
def test_which_input_a_bypassed_node_hands_on(inputs, outputs, slot, kind, handed_on):
    ins, outs = (tuple(Socket(f"s{n}", t) for n, t in enumerate(ts)) for ts in (inputs, outputs))
    node = UiNode("1", "X", BYPASSED, 0, ins, outs, (), {}, "", {})
    assert _bypass(node, slot, kind) == handed_on


# -- refused -------------------------------------------------------------------------------------


def refusal(converted, document) -> str:
    with pytest.raises(WorkflowError) as caught:
        converted(document)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_classes_are_named_all(converted):
    document = read("plain")
    for node in document["nodes"][:2]:
        node["type"] = "Nobodys"
    assert refusal(converted, document) == "node 1 (Nobodys): nobody has it (and 1 more)"


def test_unknown_classes_that_do_not_run_are_no_matter(converted):
    document = read("muted")
    for node in document["nodes"]:
        if node["mode"] == 2:
            node["type"] = "Nobodys"
    assert "2" not in converted(document)


def test_a_link_that_is_not_there(converted):
    document = read("plain")
    document["links"] = [link for link in document["links"] if link[3] != 2]
    assert "the link 1 of its input image is not in the workflow" in refusal(converted, document)


def test_a_link_from_a_node_that_is_not_there(converted):
    document = read("plain")
    document["nodes"] = [node for node in document["nodes"] if node["id"] != 1]
    assert "node 1, where a link to it starts, is not in the workflow" in refusal(
        converted, document
    )


def test_a_circle_of_reroutes(converted):
    document = read("reroutes")
    (first, second) = [node for node in document["nodes"] if node["type"] == "Reroute"][:2]
    between = next(link for link in document["links"] if link[3] == second["id"])
    first["inputs"][0]["link"] = between[0] + 100
    document["links"].append([between[0] + 100, second["id"], 0, first["id"], 0, "IMAGE"])
    assert "its links run in a circle" in refusal(converted, document)


def test_a_subgraph_within_itself(converted):
    document = read("subgraph")
    (definition,) = document["definitions"]["subgraphs"]
    definition["nodes"][0]["type"] = definition["id"]
    assert "contains itself" in refusal(converted, document)


@pytest.mark.parametrize(
    ("where", "what"),
    [("nodes", 5), ("nodes", [3]), ("links", [[1, 2]]), ("links", [[1, 1, "a", 2, 0, "IMAGE"]])],
)
def test_damaged_files(where, what, converted):
    document = read("plain")
    document[where] = what
    assert refusal(converted, document)


# -- texts ---------------------------------------------------------------------------------------


def test_choices_in_texts_are_drawn():
    drawn = {chosen("a {red|green|{light |dark }blue} hat /* or none */") for _ in range(300)}
    hats = {f"a {color} hat " for color in ("red", "green", "light blue", "dark blue")}
    assert drawn == hats
    assert chosen(r"braces \{stay\}") == "braces {stay}"


def test_dates_in_names():
    text = filled_in("%date:yyyy-MM-dd_hhmmss% %date:yy%", [], lambda _node, _name: None)
    day, time = text.split(" ")[0].split("_")
    assert len(day) == 10
    assert len(time) == 6
    assert text.endswith(day[2:4])
