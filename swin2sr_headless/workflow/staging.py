"""The input files of a graph: which they are, and how they come to where a host reads them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .document.definitions import Definitions
from .document.graph import Graph
from .document.paths import escape
from .problems import WorkflowError


def named_inputs(graph: Graph, definitions: Definitions) -> dict[str, tuple[str, str]]:
    """The file names that a graph reads from the input folder -> node id and input."""
    found: dict[str, tuple[str, str]] = {}
    for node_id, node in graph.items():
        definition = definitions.get(node.class_type)
        for name, value in node.inputs.items():
            known = definition.by_name.get(name) if definition else None
            if known is not None and known.is_file and isinstance(value, str):
                found.setdefault(value, (node_id, name))
    return found


def collect(
    graph: Graph,
    definitions: Definitions,
    given: Mapping[str, Path],
    folder: Path | None,
) -> dict[str, Path]:
    """The file for each name that the graph reads: a given one, else the one in `folder`.

    Names that are in neither are left out: the host may have them. Raises WorkflowError for given
    files that do not exist or that nothing reads, and for names that leave their folder.
    """
    named = named_inputs(graph, definitions)
    for name, path in given.items():
        if name not in named:
            reads = ", ".join(named) or "no files at all"
            raise WorkflowError.of(
                f"no node reads an input called {name}; the workflow reads: {reads}",
                "unknown_input",
            )
        if not path.is_file():
            raise WorkflowError.of(
                f"there is no file {path} to be the input {name}; check the path", "missing_file"
            )
    files = dict(given)
    for name, (node_id, _) in named.items():
        if sentence := escape(name, "input", folder):
            class_type = graph[node_id].class_type
            raise WorkflowError.of(sentence, "outside_folder", node_id, class_type)
        if name not in files and folder is not None and (folder / name).is_file():
            files[name] = folder / name
    return files


def stage(files: Mapping[str, Path], folder: Path) -> None:
    """Put the files into `folder` under their names; nothing else is left in it.

    Raises WorkflowError where that cannot be done.
    """
    remove(folder)
    folder.mkdir(parents=True)
    for name, source in files.items():
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise WorkflowError.of(
                f"cannot take {source} as the input {name}: {error.strerror or error}",
                "missing_file",
            ) from error


def check_place(out: Path) -> None:
    """Raise WorkflowError where no outputs could be written; nothing is left behind."""
    there = out
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise WorkflowError.of(
            f"--out {out} cannot be a folder: {there} is a file; choose another place", "output"
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise WorkflowError.of(
            f"cannot write into {there}: {error.strerror or error}; choose another --out", "output"
        ) from error


def remove(folder: Path) -> None:
    """A folder with all that is in it, if it is there; links are not followed."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove(path)
        else:
            path.unlink(missing_ok=True)
    folder.rmdir()
