"""What kernels were found to be on this machine's cards, kept beside what runs there took.

A trial compiles each contender, which takes seconds; a choice holds for as long as the card, its
driver's interface, torch, Triton, this code and the kind of network stay what they are.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..machine.cache_folder import cache_dir
from ..prepared.folded import FoldedNetwork
from ..temporary import replacing
from .trial import Verdict

log = logging.getLogger(__name__)

_FILE = "kernels.json"
_lock = threading.Lock()


def key_of(network: FoldedNetwork) -> str:
    """What a verdict depends on, besides the contender."""
    config, device = network.config, network.device
    first = network.stages[0].blocks[0].attention
    parts = (
        torch.cuda.get_device_name(device),
        "torch " + torch.__version__,
        "triton " + importlib.import_module("triton").__version__,
        _code(),
        str(network.dtype).removeprefix("torch."),
        f"{config.embed_dim}/{config.num_heads[0]}/{config.mlp_dim}/{config.window}",
        "bounded" if first.bounded else "unbounded",
    )
    return "|".join(parts)


def known(key: str) -> dict[str, Verdict]:
    """By the contender's name; empty where nothing is known."""
    path = _path()
    found = {} if path is None else _stored(path).get(key, {})
    try:
        return {
            str(name): Verdict(str(v["fault"]), float(v["slowness"])) for name, v in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log.info("%s is started anew: %s", path, error)
        return {}


def remember(key: str, verdicts: dict[str, Verdict]) -> None:
    """Keep those of kernels that ran: what made the others fail, as no compiler, may be mended.

    A folder that can't be written is logged, no more.
    """
    path = _path()
    if path is None:
        return
    with _lock:
        kept = _stored(path)
        kept[key] = {name: asdict(each) for name, each in verdicts.items() if each.slowness}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(json.dumps(kept, indent=1).encode())
        except OSError as error:
            log.info("the choice of a kernel is not remembered: %s", error)


def _stored(path: Path) -> dict[str, Any]:
    """All that is kept; what is damaged is forgotten."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _path() -> Path | None:
    folder = cache_dir()
    return None if folder is None else folder / _FILE


def _code() -> str:
    """A hash of the kernels' sources."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "card").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
