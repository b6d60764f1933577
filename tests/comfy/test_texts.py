"""Help pages and translations say of every input and output what there is, and no more."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh")


def definitions(language: str) -> dict:
    path = ROOT / "locales" / language / "nodeDefs.json"
    return json.loads(path.read_text(encoding="utf-8"))


def outline(value):
    """The structure of nested dictionaries, without the texts."""
    return {k: outline(v) for k, v in value.items()} if isinstance(value, dict) else None


def test_english_is_what_the_schema_says(node_list):
    found = definitions("en")
    for node in node_list:
        schema = node.GET_SCHEMA()
        texts = found.pop(schema.node_id)
        assert texts["display_name"] == schema.display_name
        assert texts["description"] == schema.description
        assert texts["inputs"] == {
            each.id: {"name": each.id, "tooltip": each.tooltip} for each in schema.inputs
        }
        assert texts["outputs"] == {
            str(number): {"name": each.display_name, "tooltip": each.tooltip}
            for number, each in enumerate(schema.outputs)
        }
    assert found == {}


def test_chinese_covers_all_of_it_in_chinese():
    english, chinese = definitions("en"), definitions("zh")
    assert outline(chinese) == outline(english)

    def texts(value):
        for each in value.values():
            yield from texts(each) if isinstance(each, dict) else [each]

    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in texts(chinese))


@pytest.mark.parametrize("language", LANGUAGES)
def test_categories_are_named(language, node_list):
    path = ROOT / "locales" / language / "main.json"
    names = json.loads(path.read_text(encoding="utf-8"))["nodeCategories"]
    own = {node.GET_SCHEMA().category.split("/")[-1] for node in node_list}
    assert set(names) == own


def test_every_example_has_a_note_in_chinese():
    path = ROOT / "locales" / "zh" / "main.json"
    notes = json.loads(path.read_text(encoding="utf-8"))["swin2sr_notes"]
    named = set()
    for example in (ROOT / "example_workflows").glob("*.json"):
        for node in json.loads(example.read_text(encoding="utf-8"))["nodes"]:
            if node["type"] == "MarkdownNote":
                assert node["properties"]["swin2sr_note"] == example.stem
                named.add(example.stem)
    assert set(notes) == named


@pytest.mark.parametrize("page", ["{}.md", "{}/zh.md"])
def test_help_pages_name_every_input_output_and_choice(page, node_list):
    for node in node_list:
        schema = node.GET_SCHEMA()
        text = (ROOT / "web" / "docs" / page.format(schema.node_id)).read_text(encoding="utf-8")
        for each in (*schema.inputs, *schema.outputs):
            name = each.id if each in schema.inputs else each.display_name
            assert f"`{name}`" in text, f"{schema.node_id}: {name}"
        for each in schema.inputs:
            for option in [o for o in getattr(each, "options", None) or () if o.isalnum()]:
                assert option in text, f"{schema.node_id}: {option}"
