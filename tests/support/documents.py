"""Markdown as this project writes it: headings, links, and blocks of code with what they need.

A block is fenced, or indented by four blanks after an empty line; the indented ones are shell. A
comment before it says what it cannot do without, besides what its commands tell:

    <!-- needs: gpu, network -->
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_NEEDS = re.compile(r"<!--\s*needs:\s*(.*?)\s*-->")
_FENCE = re.compile(r"(\s*)```(\w*)\s*$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_SOURCE = re.compile(r"""(?:src|href|srcset)=["']([^"']+)["']""")
_INLINE = re.compile(r"`([^`\n]+)`")
SHELL = ("sh", "bash")

NEEDS = {
    "gpu": "a graphics card",
    "network": "the internet",
    "install": "an environment of its own to install into",
    "model": "a downloaded model",
    "comfyui": "a ComfyUI",
    "server": "`swin2sr serve` at work",
    "docker": "a docker daemon",
    "kubernetes": "a cluster",
    "ray": "Ray",
    "root": "an administrator",
    "browser": "a browser",
    "minutes": "minutes",
    "data": "data of your own",
    "module": "a Python package",
    "program": "another program",
    "context": "the program around it",
}
"""What a block may need, the first word of each part of its mark, and what that is."""


@dataclass(frozen=True)
class Block:
    """A block of code: the number of its first line, its language, and what its mark says."""

    line: int
    language: str
    text: str
    needs: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """Its shell commands without comments, those that go on in the next line as one."""
        if self.language not in SHELL:
            return []
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = (re.split(r"(?:^|\s{1,})#\s", line)[0].strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True)
class Document:
    """A Markdown file, by its path from the project's root."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Document:
        return cls(path, path.read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """The text without its blocks, line for line."""
        lines = self.text.splitlines()
        for block in self.blocks:
            for at in range(block.line - 1, block.line + block.text.count("\n")):
                lines[at] = ""
        return "\n".join("" if _FENCE.match(line) else line for line in lines)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """(level, text) of each."""
        found = re.findall(r"^(#+) (.+)$", self.prose, re.MULTILINE)
        return [(len(marks), text.strip()) for marks, text in found]

    @property
    def anchors(self) -> set[str]:
        """As GitHub makes them of headings."""
        found: set[str] = set()
        for _, text in self.headings:
            plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", text).lower()
            kept = (c for c in plain if c in "- _" or unicodedata.category(c)[0] in "LN")
            anchor, number = "".join(kept).replace(" ", "-"), 0
            while (name := f"{anchor}-{number}" if number else anchor) in found:
                number += 1
            found.add(name)
        return found

    @property
    def links(self) -> list[str]:
        """Targets of links and pictures."""
        prose = _INLINE.sub("", self.prose)
        return [*_LINK.findall(prose), *_SOURCE.findall(prose)]

    @property
    def inline_code(self) -> list[str]:
        """What stands between backticks."""
        return _INLINE.findall(self.prose)

    @property
    def blocks(self) -> list[Block]:
        return list(_blocks(self.text.splitlines()))


def documents() -> list[Document]:
    """Every guide of the project; model cards and the changelog are none."""
    places = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    places += [ROOT / name / "README.md" for name in ("training", "example_workflows", "examples")]
    return [Document.read(path) for path in sorted(places) if path.name != "CHANGELOG.md"]


def _blocks(lines: list[str]) -> Iterator[Block]:
    at, needs = 0, ()
    while at < len(lines):
        line = lines[at]
        if match := _NEEDS.search(line):
            needs = tuple(each.strip() for each in match[1].split(","))
        elif fence := _FENCE.match(line):
            end = at + 1
            while lines[end].strip() != "```":
                end += 1
            inside = [each[len(fence[1]) :] for each in lines[at + 1 : end]]
            yield Block(at + 2, fence[2] or "text", "\n".join(inside), needs)
            at, needs = end, ()
        elif line.startswith("    ") and not lines[at - 1].strip() and not _in_a_list(lines, at):
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            while not lines[end - 1].strip():
                end -= 1
            yield Block(at + 1, "sh", "\n".join(each[4:] for each in lines[at:end]), needs)
            at, needs = end - 1, ()
        elif line.strip():
            needs = ()
        at += 1


def _in_a_list(lines: list[str], at: int) -> bool:
    before = next((each for each in reversed(lines[:at]) if each.strip()), "")
    return bool(re.match(r"\s*(?:[-*]|\d+\.) ", before))
