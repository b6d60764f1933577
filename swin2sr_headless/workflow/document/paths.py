"""Names of files in a workflow: they stay inside the folders that they are meant for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from swin2sr_core.errors import harmless

from ..problems import Problem
from .definitions import Definitions, NodeDefinition
from .graph import Graph, Node

_FOLDERS = re.compile(r" \[(input|output|temp)\]$")
_LONGEST_PART = 255  # bytes of one name, on every common file system
_LONGEST = 1000  # of a path within a folder, so that the whole path stays within 4,096 bytes


def check_names(
    graph: Graph, definitions: Definitions, folders: Mapping[str, Path] | None = None
) -> list[Problem]:
    """What leaves its folder: inputs that name files, and prefixes of outputs.

    folders: "input", "output" and "temp", where they are on this machine: links are followed then.
    """
    problems = []
    for node_id, node in graph.items():
        definition = definitions.get(node.class_type)
        for name, value, kind in _named_files(node, definition):
            sentence = escape(value, kind, (folders or {}).get(_kind(value, kind)))
            if sentence:
                problems.append(
                    Problem(f"{name}: {sentence}", "outside_folder", node_id, node.class_type)
                )
    return problems


def escape(name: str, kind: str, folder: Path | None = None) -> str:
    """Why a name leads out of the `kind` ("input" or "output") folder; "" where it does not."""
    plain = _FOLDERS.sub("", name)
    if not _is_name(plain):
        return f"{harmless(plain, 80)!r} is no name that a file could have; choose another"
    if PurePosixPath(plain).is_absolute() or PureWindowsPath(plain).anchor:
        why = "is an absolute path"
    elif _climbs(plain):
        why = "climbs out of it"
    elif folder is not None and not _resolves_inside(folder, plain):
        why = "is, or passes through, a symbolic link that leads out of it"
    else:
        return ""
    what = {"input": "--input NAME=FILE brings a file in", "output": "--out DIR moves all outputs"}
    kind = _kind(name, kind)
    return (
        f"{plain!r} {why}; names stay inside the {kind} folder, and {what.get(kind, what['input'])}"
    )


def _kind(name: str, kind: str) -> str:
    """The folder that a name is in: "a.png [output]" is an input that lies among the outputs."""
    match = _FOLDERS.search(name)
    return match[1] if match and kind == "input" else kind


def _named_files(node: Node, definition: NodeDefinition | None) -> list[tuple[str, str, str]]:
    """(input, value, "input" or "output") of each input that names files."""
    found = []
    for name, value in node.inputs.items():
        known = definition.by_name.get(name) if definition else None
        if not isinstance(value, str):
            continue
        if known is not None and known.is_file:
            found.append((name, value, "input"))
        elif name == "filename_prefix":
            found.append((name, value, "output"))
    return found


def _is_name(name: str) -> bool:
    """Whether file systems take it: its parts are of a length, and of whole characters."""
    try:
        parts = [os.fsencode(part) for part in re.split(r"[/\\]", name)]
    except UnicodeEncodeError:  # half of a character
        return False
    return "\0" not in name and max(map(len, parts)) <= _LONGEST_PART and len(name) <= _LONGEST


def _climbs(name: str) -> bool:
    depth = 0
    for part in re.split(r"[/\\]+", name):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _resolves_inside(folder: Path, name: str) -> bool:
    root = os.path.realpath(folder)
    # a prefix may have placeholders: what matters is the folders that exist already
    target = os.path.realpath(folder / name)
    return target == root or target.startswith(root.rstrip(os.sep) + os.sep)
