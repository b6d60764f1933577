"""The schemas are an interface for ever: saved workflows name ids, and keep widgets by position."""

import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "schemas.json"
PARTS = ("input", "input_order", "output", "output_is_list", "output_name", "output_tooltips")
NAMES = ("name", "display_name", "description", "category", "output_node", "experimental")


def description(node) -> dict:
    """What /object_info tells, without what differs between machines and versions."""
    info = node.GET_NODE_INFO_V1()
    info = json.loads(json.dumps(info if isinstance(info, dict) else vars(info)))
    kept = {part: info[part] for part in (*PARTS, *NAMES)}
    for part in ("input", "input_order"):  # ComfyUI's own for output nodes, and no widget
        kept[part].pop("hidden", None)
    for options in kept["input"].get("required", {}).values():
        if "compact-x4" in options[1].get("options", ()):
            options[1]["options"] = ["compact-x4", "..."]
    return kept


def test_schemas_are_as_they_were(node_list):
    found = {node.GET_SCHEMA().node_id: description(node) for node in node_list}
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found == golden, "an id, order or default changed: saved workflows would break"


def test_everything_is_explained(node_list):
    for node in node_list:
        schema = node.GET_SCHEMA()
        assert schema.description
        for each in (*schema.inputs, *schema.outputs):
            assert each.tooltip, f"{schema.node_id}.{each.id} has no tooltip"
            assert each.tooltip.endswith("."), each.tooltip


def test_ids_carry_the_prefix(node_list):
    assert all(node.GET_SCHEMA().node_id.startswith("Swin2SR_") for node in node_list)


def test_execute_takes_what_the_schema_offers(node_list):
    for node in node_list:
        offered = [each.id for each in node.GET_SCHEMA().inputs]
        code = node.execute.__func__.__code__
        assert list(code.co_varnames[1 : code.co_argcount]) == offered


def test_fields_of_newer_versions_are_left_out_of_older_ones(pack):
    module = pack("nodes.schema")
    assert module.newer_fields(node_id="x", no_such_field=1) == {"node_id": "x"}


@pytest.mark.parametrize("name", ["strategy", "tile_size", "overlap", "max_memory"])
def test_rarely_needed_widgets_are_folded_away(node_list, name):
    inputs = {each.id: each for each in node_list[1].GET_SCHEMA().inputs}
    assert inputs[name].as_dict()["advanced"] is True
    assert "advanced" not in inputs["scale"].as_dict()
