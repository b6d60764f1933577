"""Server sentences in other languages: every key has words, which take the same values."""

import ast
import json
import pickle
import re
from pathlib import Path
from string import Formatter

import pytest

from swin2sr_core import InputError, plan_upscale
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.sentences import Sentence, changed, glossary, sentence, spoken, words

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Swin2SRConfig(3, 12, (1, 2), (2, 3), 8, 24, 2, "pixelshuffledirect", "1conv", 1.0)


def templates():
    """(key, English template) of every sentence that the core, a node or the service may say."""
    for folder in ("swin2sr_core", "nodes", "swin2sr_headless/service"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = isinstance(call, ast.Call) and getattr(
                    call.func, "id", getattr(call.func, "attr", "")
                )
                made_of_arguments = path == ROOT / "swin2sr_core" / "errors.py"
                if name in ("sentence", "saying") and not made_of_arguments:
                    assert isinstance(call, ast.Call)
                    yield tuple(ast.literal_eval(each) for each in call.args)


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_one_template_for_a_key():
    assert len(set(templates())) == len(dict(templates())) > 100


def test_chinese_has_words_for_each_with_the_same_values():
    table = json.loads((ROOT / "locales" / "zh" / "main.json").read_text(encoding="utf-8"))
    chinese = table["swin2sr_sentences"]
    english = dict(templates())
    assert set(chinese) == set(english)
    # {x, y, width, height} stands there as it is: the page fills in names alone.
    shown = {key: set(re.findall(r"\{(\w+)\}", text)) for key, text in chinese.items()}
    assert shown == {key: fields(text) for key, text in english.items()}


def test_a_sentence_is_its_text_and_survives_errors_and_processes():
    made = sentence("scale", "scale must be {most:g} or less, got {scale:g}", most=4.0, scale=7.5)
    assert made == "scale must be 4 or less, got 7.5"
    assert made.values == {"most": "4", "scale": "7.5"}
    arrived = str(pickle.loads(pickle.dumps(InputError(made))))
    assert isinstance(arrived, Sentence)
    assert (arrived.key, arrived.values) == (made.key, made.values)


def test_words_are_found_in_what_is_told_and_in_one_another():
    inner = sentence("inner", "out of memory")
    outer = sentence("outer", "{why}; went on", why=inner)
    assert set(words({"a": [outer], "b": ("plain", 3)})) == {inner, outer}


def test_a_glossary_brings_sentences_through_json():
    inner = sentence("inner", "out of memory")
    outer = sentence("outer", "{why}; went on with {path}", why=inner, path="/spool/1.in")
    told = json.loads(json.dumps(glossary({"notices": [outer]})))
    arrived = spoken(str(outer), told)
    assert isinstance(arrived, Sentence) and arrived == outer
    assert (arrived.key, arrived.values) == (outer.key, outer.values)
    assert isinstance(arrived.values["why"], Sentence)
    assert spoken("unheard of", told) == "unheard of"


def test_a_change_reaches_the_values():
    made = sentence("damaged", "{path} is damaged", path="/spool/1.in")
    hidden = changed(made, lambda text: text.replace("/spool/1.in", "photo.jpg"))
    assert hidden == "photo.jpg is damaged"
    assert isinstance(hidden, Sentence) and hidden.values == {"path": "photo.jpg"}


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_every_line_of_a_plan_is_a_sentence(strategy, threads):
    asked = {"strategy": strategy, "tile": 50, "kernel_threads": threads}
    plan = plan_upscale(CONFIG, 96, 72, 2, budget_bytes=1 << 30, precision="bf16", **asked)
    assert all(isinstance(line, Sentence) for line in plan.lines)
    assert all(isinstance(term, Sentence) for term in plan.forecast)
    assert str(plan) == "\n".join(plan.lines)
