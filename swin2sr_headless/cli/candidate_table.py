"""The plans that were considered for a picture, side by side, and why one of them was taken."""

from __future__ import annotations

from swin2sr_core.planning.candidates import fastest_like, pass_candidates, representatives
from swin2sr_core.planning.pass_plan import PassPlan
from swin2sr_core.planning.plan import Plan
from swin2sr_core.units import format_bytes

_HEADER = ("", "strategy", "pieces", "device", "host", "time", "result", "")


def candidate_rows(plan: Plan) -> list[dict[str, object]]:
    """For the pass that needs most memory: what else there was. `time` is 1 for the fastest."""
    taken = plan.fullest
    shown = considered(plan, taken)
    fastest = min(each.cost for each in shown)
    return [
        {
            "taken": each == taken,
            "strategy": each.strategy,
            "pieces": _pieces(each),
            "device_bytes": each.forecast_bytes,
            "host_bytes": each.host_bytes,
            "time": round(each.cost / fastest, 2),
            "exact": each.exact,
            "fits": plan.budget_bytes is None or each.charged_bytes <= plan.budget_bytes,
        }
        for each in shown
    ]


def considered(plan: Plan, taken: PassPlan) -> list[PassPlan]:
    """The candidates worth showing, the taken one among them."""
    tiling, _ = plan.request.tiling
    everything = pass_candidates(fastest_like(taken), plan.asked_strategy, tiling)
    return representatives(everything, taken)


def candidate_table(plan: Plan) -> str:
    """The rows as text, and a sentence on the choice."""
    rows: list[tuple[str, ...]] = [_HEADER]
    for row in candidate_rows(plan):
        rows.append(
            (
                "->" if row["taken"] else "",
                str(row["strategy"]),
                str(row["pieces"]),
                format_bytes(int(str(row["device_bytes"]))),
                format_bytes(int(str(row["host_bytes"]))) if row["host_bytes"] else "-",
                f"{row['time']}x",
                "exact" if row["exact"] else "blended tiles",
                "" if row["fits"] else "over the budget",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([*lines, f"taken: {reason(plan)}"])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def reason(plan: Plan) -> str:
    """Why the fullest pass runs as it does, in one sentence."""
    taken = plan.fullest
    budget = plan.budget_bytes
    fit = "there is no budget" if budget is None else f"fits into {format_bytes(budget)}"
    if plan.asked_strategy not in ("auto", taken.strategy):
        return f"{taken.strategy}, where memory has led"
    if plan.request.exported:
        return f"the fastest tiles whose plan {fit}: an exported file runs in tiles alone"
    if plan.asked_strategy != "auto":
        return f"the fastest {taken.strategy} plan that {fit}, as {taken.strategy} was asked for"
    if budget is None:
        return "the fastest exact plan; there is no budget"
    if taken.exact:
        return f"the fastest exact plan that {fit}"
    exact = (each for each in pass_candidates(fastest_like(taken)) if each.exact)
    least = min(each.charged_bytes for each in exact)
    return (
        f"the fastest plan that {fit}; it is not exact, for which {format_bytes(least, up=True)} "
        "would be needed"
    )


def _pieces(plan: PassPlan) -> str:
    bands = f"bands of {plan.band_windows} windows"
    return f"{bands}, {plan.pieces}" if plan.pieces else bands
