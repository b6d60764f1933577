"""What an acceptance run found: rows that pass, fail or only tell, as Markdown and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

_SIGNS = {True: "pass", False: "**FAIL**", None: ""}


@dataclass(frozen=True)
class Row:
    """`ok` is None for a figure that has no bar."""

    section: str
    name: str
    ok: bool | None
    facts: dict[str, object]

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"| {self.section} | {self.name} | {_SIGNS[self.ok]} | {facts} |"


@dataclass
class Report:
    """Rows are printed as they come: a run that ends early has told what it knew."""

    rows: list[Row] = field(default_factory=list)

    def begin(self) -> None:
        print("| section | what | | figures |\n|---|---|---|---|", flush=True)

    def add(self, section: str, name: str, ok: bool | None = None, **facts: object) -> None:
        """A figure, or a check where `ok` says whether its bar is met."""
        self.rows.append(Row(section, name, ok, facts))
        print(self.rows[-1], flush=True)

    @property
    def failed(self) -> int:
        return sum(row.ok is False for row in self.rows)

    @property
    def checked(self) -> int:
        return sum(row.ok is not None for row in self.rows)

    def to_list(self) -> list[dict[str, object]]:
        """For JSON."""
        return [asdict(row) for row in self.rows]
