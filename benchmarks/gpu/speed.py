"""Seconds of the classical network: the plain forward, spandrel's, and ours, in turns of rounds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.errors import Swin2SRError
from swin2sr_core.kernels.choice import Choice, chosen, for_card
from swin2sr_core.kernels.setting import setting
from swin2sr_core.kernels.trial import judge
from swin2sr_core.machine.devices import resolve_precision

from .card import Card
from .networks import CLASSICAL, model_of, picture, random_network
from .report import Report

_OF_PLAIN, _OF_NARROW = 8.0, 3.0
"""How many times as fast as ComfyUI's way (fp32), and as spandrel in bf16, ours has to be."""


def speed(card: Card, report: Report, sides: tuple[int, ...]) -> None:
    plain = random_network(CLASSICAL).to(card.device)
    other = _spandrel(plain)
    auto = resolve_precision("auto", card.device)
    for side in sides:
        image = picture(CLASSICAL, side, side).to(card.device)
        seconds = {"plain fp32": card.seconds(_forward(plain, image, None))}
        narrow = None if auto == "fp32" else getattr(torch, {"bf16": "bfloat16"}.get(auto, "half"))
        if narrow is not None:
            seconds[f"plain {auto}"] = card.seconds(_forward(plain, image, narrow))
        if other is not None:
            seconds["spandrel fp32"] = card.seconds(_forward(other, image, None))
            if narrow is not None:
                seconds[f"spandrel {auto}"] = card.seconds(_forward(other, image, narrow))
        for name, taken in seconds.items():
            report.add("speed", f"{name} {side}x{side}", seconds=f"{taken:.3f}")
        # a CPU computes fp16 by turning every number into fp32 and back
        for precision in (
            ("fp32", "bf16", "fp16", "int8") if card.real else ("fp32", "bf16", "int8")
        ):
            _ours(card, report, precision, image, seconds, precision == auto)
    if card.real:
        _kernels(card, report, auto)
        _launches(card, report, auto)


def _ours(
    card: Card, report: Report, precision: str, image: Tensor, others: dict[str, float], bar: bool
) -> None:
    side = image.shape[-1]
    try:
        model = model_of(CLASSICAL, precision, card.device)
    except Swin2SRError as error:
        report.add("speed", f"ours {precision} {side}x{side}", refused=error)
        return
    for strategy in ("whole", "staged"):
        plan = make_plan(model, side, side, strategy=strategy, resident=card.real)
        taken = card.seconds(lambda: upscale(model, image, plan=plan))  # noqa: B023
        times = {f"of_{name.replace(' ', '_')}": f"{t / taken:.2f}" for name, t in others.items()}
        ok = None
        if bar and card.real and strategy == "whole":
            narrow = next((t for name, t in others.items() if name.startswith("spandrel b")), None)
            ok = others["plain fp32"] >= _OF_PLAIN * taken
            ok = ok and (narrow is None or narrow >= _OF_NARROW * taken)
        kernel = chosen(model.folded).name
        report.add(
            "speed",
            f"ours {precision} {strategy} {side}x{side}",
            ok,
            seconds=f"{taken:.3f}",
            kernel=kernel,
            **times,
        )


def _forward(network: nn.Module, image: Tensor, narrow: torch.dtype | None) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> Tensor:
        dtype, enabled = narrow or torch.bfloat16, narrow is not None
        with torch.autocast(image.device.type, dtype, enabled=enabled):
            return network(image)

    return run


def _spandrel(plain: nn.Module) -> nn.Module | None:
    """The same weights in the network that ComfyUI runs; None where it is not installed."""
    if importlib.util.find_spec("spandrel") is None:
        return None
    from spandrel.architectures.Swin2SR import Swin2SR

    made = Swin2SR(
        embed_dim=CLASSICAL.embed_dim,
        depths=list(CLASSICAL.depths),
        num_heads=list(CLASSICAL.num_heads),
        mlp_ratio=2.0,
        window_size=CLASSICAL.window,
        upscale=CLASSICAL.scale,
        upsampler=CLASSICAL.head,
        img_size=64,
    )
    made.load_state_dict(plain.state_dict(), strict=False)
    return made.eval().to(next(plain.parameters()).device)


def _kernels(card: Card, report: Report, precision: str) -> None:
    """Every fused kernel beside PyTorch's blocks: on a band, and in a picture of 512x512."""
    model, image = model_of(CLASSICAL, precision, card.device), picture(CLASSICAL, 512, 512)
    network, image = model.folded, image.to(card.device)
    contenders, reason = for_card(network)
    if reason:
        report.add("kernels", "fused", refused=reason)
    key, own = f"kernel {setting()}", chosen(network)
    for each in contenders:
        verdict = judge(network, each)
        network.derived[key] = Choice(each.name, each.make)
        seconds = card.seconds(lambda: upscale(model, image))
        wrong = "wrong" in verdict.fault or "fails" in verdict.fault
        report.add(
            "kernels",
            each.name,
            not wrong,
            of_reference=f"{verdict.slowness:.2f}",
            fault=verdict.fault or "none",
            seconds=f"{seconds:.3f}",
            chosen=each.name == own.name,
        )
    network.derived[key] = own


def _launches(card: Card, report: Report, precision: str) -> None:
    """Where a picture's time goes, and how many launches it takes."""
    from torch.profiler import ProfilerActivity, profile

    model, image = model_of(CLASSICAL, precision, card.device), picture(CLASSICAL, 512, 512)
    upscale(model, image)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        upscale(model, image)
        card.wait()
    events = seen.key_averages()

    def spent(event: object) -> float:
        return getattr(event, "device_time_total", getattr(event, "cuda_time_total", 0.0))

    report.add("speed", f"launches {precision} 512x512", count=sum(e.count for e in events))
    for event in sorted(events, key=spent, reverse=True)[:12]:
        name = event.key[:60].replace("|", "/")
        report.add("speed", name, count=event.count, ms=f"{spent(event) / 1e3:.1f}")
