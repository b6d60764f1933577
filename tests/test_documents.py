"""What guides say of the program holds: links lead somewhere, commands parse, options exist.

`benchmarks/guides.py` also runs the commands.
"""

import argparse
import re
import shlex
from urllib.parse import unquote

import pytest
from documents import ROOT, Document, documents

from swin2sr_core.errors import Swin2SRError
from swin2sr_headless.cli.arguments import parsed, with_json_lines
from swin2sr_headless.cli.main import build_parser

DOCUMENTS = documents()
CHINESE = [each for each in DOCUMENTS if each.path.with_suffix("").suffix == ".zh-CN"]
everyone = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
chinese = pytest.mark.parametrize("document", CHINESE, ids=lambda each: each.name)

FOREIGN_OPTIONS = {
    "--break-system-packages",
    "--cap-drop",
    "--clip-path",
    "--disable-auto-launch",
    "--fp16",
    "--from-file",
    "--head",
    "--index-url",
    "--nproc_per_node",
    "--saveEngine",
    "--tmpfs",
    "--version",
}
"""Of other programs, beside ours in a guide."""


def english(document: Document) -> Document:
    return Document.read(document.path.with_name(document.path.name.replace(".zh-CN", "")))


def options() -> set[str]:
    """Every option of every command, and of the scripts and modules of this project."""
    found, waiting = set(), [build_parser()]
    while waiting:
        for action in waiting.pop()._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
    folders = ("benchmarks", "training", "deploy", "tests/support", "swin2sr_headless/workflow")
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            found.update(re.findall(r"[\"'](--[a-z][a-z0-9-]+)", path.read_text(encoding="utf-8")))
    return found


def our_words(command: str) -> list[list[str]]:
    """The words of each `swin2sr ...` in a shell command, without what the shell takes."""
    calls = []
    for part in re.split(r"&&|\|\||\||;", command):
        part = re.sub(r"\s[12&]?>+\s*\S+", "", part).strip()
        if part.startswith("swin2sr "):
            calls.append(shlex.split(part)[1:])
    return calls


@everyone
def test_links_lead_somewhere(document):
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            assert link.startswith(("https://", "http://127.0.0.1", "mailto:")), link
            continue
        name, _, anchor = unquote(link).partition("#")
        target = document.path.parent / name if name else document.path
        assert target.exists(), link
        assert ROOT in target.resolve().parents, link
        if anchor:
            assert anchor in Document.read(target).anchors, link


@everyone
def test_commands_parse(document):
    for block in document.blocks:
        for command in block.commands:
            for words in our_words(command):
                if {"--help", "--version"} & {*words}:
                    continue
                try:
                    parsed(build_parser(), with_json_lines(words))
                except Swin2SRError as error:
                    pytest.fail(f"line {block.line}: swin2sr {' '.join(words)}: {error}")


@everyone
def test_options_exist(document):
    known = options() | FOREIGN_OPTIONS
    for code in document.inline_code:
        for name in re.findall(r"(?<![\w-])--[a-z][a-zA-Z0-9_-]*", code):
            assert name in known, code


@everyone
def test_scripts_and_modules_exist(document):
    text = "\n".join([*document.inline_code, *(block.text for block in document.blocks)])
    for script in re.findall(r"\b(?:python3?|PYTHON\S*) ((?:\w+/)+\w+\.py)", text):
        assert (ROOT / script).is_file(), script
    for path in re.findall(r"(?:^|[\s`])((?:benchmarks|tests|training)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), path


@everyone
def test_marks_are_known(document):
    from documents import NEEDS

    for block in document.blocks:
        assert {need.partition(" ")[0] for need in block.needs} <= set(NEEDS), block.line


@chinese
def test_both_languages_have_the_same_parts(document):
    other = english(document)
    assert [level for level, _ in document.headings] == [level for level, _ in other.headings]
    assert len(document.links) == len(other.links)


@chinese
def test_both_languages_have_the_same_commands(document):
    other = english(document)
    blocks = [(block.language, block.commands, block.needs) for block in document.blocks]
    assert blocks == [(block.language, block.commands, block.needs) for block in other.blocks]
    assert len(re.findall(r"^\|", document.prose, re.MULTILINE)) == len(
        re.findall(r"^\|", other.prose, re.MULTILINE)
    )


def test_both_readmes_lead_to_each_other():
    assert "README.zh-CN.md" in Document.read(ROOT / "README.md").links
    assert "README.md" in Document.read(ROOT / "README.zh-CN.md").links
