"""What the pack says when ComfyUI loads it."""

import asyncio
import logging
import sys
from types import ModuleType

import pytest


@pytest.fixture
def warnings(pack, caplog, monkeypatch):
    """(file of the pack whose nodes are registered already) -> what is warned of."""

    def load(other):
        module = ModuleType("another.nodes.load")
        module.__file__ = str(other)
        node = type("Swin2SRLoad", (), {"__module__": module.__name__})
        nodes = ModuleType("nodes")
        monkeypatch.setattr(nodes, "NODE_CLASS_MAPPINGS", {"Swin2SR_Load": node}, raising=False)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(sys.modules, "nodes", nodes)
        with caplog.at_level(logging.WARNING):
            asyncio.run(pack("nodes.extension").Swin2SRExtension().get_node_list())
        return [each for each in caplog.messages if "twice" in each]

    return load


def test_two_copies_are_told_with_their_places(warnings, tmp_path, pack):
    (line,) = warnings(tmp_path / "Swin2SR-old" / "nodes" / "load.py")
    assert str(tmp_path / "Swin2SR-old") in line
    assert line.endswith("remove one")


def test_one_copy_is_no_cause_for_words(warnings, pack):
    assert warnings(pack("nodes.load").__file__) == []
