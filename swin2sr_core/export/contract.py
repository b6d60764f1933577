"""What an exported file says of itself: how a picture is to be put in, and what comes out.

It stands in an ONNX file's metadata, each entry with the prefix `swin2sr.`, and as JSON beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import CheckpointError, InputError
from ..network.config import MOST_LAYERS, PADDING_MODES, Swin2SRConfig
from ..network.head_costs import HEAD_COSTS
from ..planning.costs import conv_reach, stage_margin

VERSION = 1
"""A reader refuses files with a higher one: what they ask for is not known yet."""

PREFIX = "swin2sr."
PRECISIONS = ("fp32", "fp16")
ADVISED_TILE, ADVISED_OVERLAP = 384, 32
"""LR pixels: 0.1/255 off the whole picture."""

_MOST_SIDE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Contract:
    """All that a program has to know to run a file without us; sides are in LR pixels.

    The picture goes in as `image`, float32 in `layout` and `range`, height and width padded as
    `padding` says to a multiple of `multiple_of`; it comes out as `upscaled`, `scale` times as
    large, not clamped to 0..1 (`output`), to be cropped. What lies further than `context` from a
    pixel does not change it; tiles of `tile` that share `overlap` are a good bargain.
    `weights_sha256` is of the model file, `graph_sha256` of the graph in this one.
    """

    contract: int = VERSION
    model: str
    precision: str
    scale: int
    channels: int
    window: int
    multiple_of: int
    context: int
    tile: int = ADVISED_TILE
    overlap: int = ADVISED_OVERLAP
    input: str = "image"
    output_name: str = "upscaled"
    layout: str = "NCHW"
    range: str = "0..1 RGB"
    padding: str = "reflect bottom right"
    output: str = "unclamped"
    size: str = "dynamic"
    licence: str
    weights_sha256: str
    graph_sha256: str = ""
    opset: int = 0
    torch: str = ""
    config: str

    @classmethod
    def of(
        cls,
        config: Swin2SRConfig,
        *,
        model: str,
        precision: str,
        licence: str,
        weights_sha256: str,
        size: tuple[int, int] | None = None,
        opset: int = 0,
        torch: str = "",
    ) -> Contract:
        """Of a network with that config; `size` is (height, width) where these are fixed."""
        return cls(
            model=model,
            precision=precision,
            scale=config.scale,
            channels=config.in_channels,
            window=config.window,
            multiple_of=config.window,
            context=receptive_field(config),
            tile=ADVISED_TILE // config.window * config.window,
            overlap=-(-ADVISED_OVERLAP // config.window) * config.window,
            range="0..1 RGB" if config.in_channels == 3 else "0..1 grey",
            size="dynamic" if size is None else f"{size[0]}x{size[1]}",
            licence=licence,
            weights_sha256=weights_sha256,
            opset=opset,
            torch=torch,
            config=json.dumps(asdict(config)),
        )

    def to_metadata(self) -> dict[str, str]:
        """Entries of an ONNX file's metadata."""
        return {f"{PREFIX}{name}": str(value) for name, value in asdict(self).items()}

    def to_dict(self) -> dict[str, object]:
        """For JSON; the config as an object of its own."""
        return {**asdict(self), "config": json.loads(self.config)}

    def to_json(self) -> str:
        """For the file beside."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def precision_for(self, name: str, asked: str) -> str:
        """The file's precision. Raises InputError where `asked` is neither auto nor that."""
        if asked not in ("auto", self.precision):
            raise InputError.saying(
                "exported_precision",
                "{name} was exported in {precision}, and {asked} is asked for; leave "
                "--precision out, or export the model with --precision {asked}",
                name=name,
                precision=self.precision,
                asked=asked,
            )
        return self.precision

    @property
    def network_config(self) -> Swin2SRConfig:
        """The network that it was exported from. Raises CheckpointError where it is none."""
        try:
            told = json.loads(self.config)
            lists = {name: tuple(told[name]) for name in ("depths", "num_heads")}
            config = Swin2SRConfig(**{**told, **lists})
            _check_config(config)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CheckpointError.saying(
                "contract_network",
                "the contract of this exported file names no Swin2SR network; export it again",
            ) from error
        return config


def contract_from(metadata: Mapping[str, str]) -> Contract:
    """The contract in an ONNX file's metadata.

    Raises CheckpointError where there is none, where it is of a newer version, or damaged.
    """
    found = {k.removeprefix(PREFIX): v for k, v in metadata.items() if k.startswith(PREFIX)}
    if "contract" not in found:
        raise CheckpointError.saying(
            "contract_absent",
            "this .onnx file has no contract of ours, so it is not known what it takes; "
            "make one with `swin2sr export`",
        )
    version = found["contract"]
    if version.isdecimal() and len(version) < 5 and int(version) > VERSION:
        raise CheckpointError.saying(
            "contract_version",
            "this file follows version {version} of the contract, and {newest} is the "
            "newest known here; update swin2sr, or export it again",
            version=version,
            newest=VERSION,
        )
    try:
        told: dict[str, Any] = {f.name: _value(f.type, found[f.name]) for f in fields(Contract)}
        made = Contract(**told)
        _check(made)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError.saying(
            "contract_damaged",
            "the contract of this exported file is damaged ({error}); export it again",
            error=error,
        ) from error
    return made


def receptive_field(config: Swin2SRConfig) -> int:
    """How far away, in LR pixels, something may lie and still change a pixel; at most."""
    ends = 1 + conv_reach(config) + HEAD_COSTS[config.head].reach
    return len(config.depths) * stage_margin(config) + ends


def _value(kind: object, text: str) -> str | int:
    if kind not in (int, "int"):
        return text
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text)


def _check(contract: Contract) -> None:
    """Raises ValueError where it contradicts itself."""
    config = contract.network_config
    same = (contract.scale, contract.channels, contract.window, contract.multiple_of)
    if same != (config.scale, config.in_channels, config.window, config.window):
        raise ValueError("its numbers and its network differ")
    if contract.precision not in PRECISIONS:
        raise ValueError(f"its precision is {contract.precision[:20]!r}")


def _check_config(config: Swin2SRConfig) -> None:
    """Raises ValueError for what no network has: a stranger's numbers decide about memory here."""
    numbers = (config.in_channels, config.embed_dim, config.mlp_dim, *config.depths)
    numbers = (*numbers, *config.num_heads)
    sides = (config.scale, config.window)
    if not all(type(n) is int and 0 < n < _MOST_SIDE for n in (*numbers, *sides)):
        raise ValueError("numbers out of range")
    if config.in_channels not in (1, 3) or config.scale not in (1, 2, 3, 4, 8):
        raise ValueError("channels or scale that no network has")
    if config.window > 16 or config.residual not in ("1conv", "3conv"):
        raise ValueError("a window or a convolution that no network has")
    if config.padding_mode not in PADDING_MODES:
        raise ValueError("a padding that no network has")
    if config.head not in HEAD_COSTS or config.img_range not in (1, 255):
        raise ValueError("a head or a range that no network has")
    if not 0 < len(config.depths) == len(config.num_heads) <= MOST_LAYERS:
        raise ValueError("stages that do not fit together")
    if max(config.depths) > MOST_LAYERS or any(config.embed_dim % h for h in config.num_heads):
        raise ValueError("blocks or heads that do not fit")
