"""Workflows in API format: there and back, links, cycles, and values set by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_headless.workflow.document.definitions import parse_definitions
from swin2sr_headless.workflow.document.graph import (
    Link,
    Node,
    check_links,
    find_cycle,
    parse_api,
    to_api,
)
from swin2sr_headless.workflow.document.setting import Typed
from swin2sr_headless.workflow.document.setting import with_value as set_value
from swin2sr_headless.workflow.problems import WorkflowError

from .conftest import GRAPHS


def with_value(graph, target, value):
    return set_value(graph, target, value, DEFINITIONS)


DEFINITIONS = parse_definitions(
    {
        "T": {"input": {"required": {
            "text": ["STRING"], "count": ["INT"], "way": [["1", "b"]], "size": [[1, 2]]}}}
    }
)  # fmt: skip

PROMPTS = sorted(GRAPHS.glob("*.api.json"))


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.name)
def test_there_and_back(path):
    document = json.loads(path.read_text())
    graph = parse_api(document)
    assert parse_api(to_api(graph)) == graph
    assert to_api(graph) == document
    check_links(graph)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_a_cycle_is_found_exactly_where_there_is_one(pairs):
    graph = {str(n): Node("X", {}) for n in range(7)}
    for index, (source, target) in enumerate(pairs):
        inputs = {**graph[str(target)].inputs, f"i{index}": Link(str(source), 0)}
        graph[str(target)] = Node("X", inputs)
    cycle = find_cycle(graph)
    left = dict(graph)  # taking away what has no sources left leaves cycles, and what they feed
    while free := [n for n in left if not {k.node for k in left[n].links.values()} & left.keys()]:
        for name in free:
            del left[name]
    assert bool(cycle) == bool(left)
    for node, fed in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True):
        assert node in {link.node for link in graph[fed].links.values()}


def test_a_long_chain_is_no_trouble():
    graph = {str(n): Node("X", {"i": Link(str(n - 1), 0)} if n else {}) for n in range(20000)}
    assert find_cycle(graph) == []


def test_values_are_set_by_id_and_by_title():
    graph = {"8:7:4": Node("X", {"a": 1, "b": 2}, "Mine"), "2": Node("Y", {"c": 3})}
    assert with_value(graph, "8:7:4.a", 5)["8:7:4"].inputs == {"a": 5, "b": 2}
    assert with_value(graph, "Mine.b", "t")["8:7:4"].inputs["b"] == "t"
    assert with_value(graph, "2.c", ["8:7:4", 0])["2"].inputs["c"] == Link("8:7:4", 0)
    assert graph["8:7:4"].inputs == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("9.a", "no node is called '9'; the nodes are: 1 (X), 2 (X)"),
        ("Same.a", "several nodes are called 'Same'"),
        ("1.z", "it has no input 'z' to set; its inputs here are: a"),
    ],
)
def test_values_of_nothing(target, sentence):
    graph = {"1": Node("X", {"a": 1}, "Same"), "2": Node("X", {}, "Same")}
    with pytest.raises(WorkflowError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        with_value(graph, target, 0)


@pytest.mark.parametrize(
    ("target", "typed", "value"),
    [
        ("1.text", "1.10", "1.10"),
        ("1.text", "true", "true"),
        ("1.text", '"quoted"', "quoted"),
        ("1.text", '["2", 0]', Link("2", 0)),
        ("1.count", "3", 3),
        ("1.count", "many", "many"),  # refused later, by the check of kinds
        ("1.way", "1", "1"),
        ("1.size", "2", 2),
        ("1.more.deep", "5", 5),
        ("1.more.name", "5", "5"),  # not defined, but it was text before
        ("A title. With dots.text", "x", "x"),
    ],
)
def test_what_is_typed_is_what_the_input_wants(target, typed, value):
    inputs = {"text": "t", "count": 1, "way": "b", "size": 1, "more.deep": 2, "more.name": "n"}
    graph = {"1": Node("T", inputs, "A title. With dots"), "2": Node("T", {})}
    field = target.removeprefix("1.").removeprefix("A title. With dots.")
    assert with_value(graph, target, Typed(typed))["1"].inputs[field] == value
