"""The computer's memory, and what limits it for this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from swin2sr_core.machine.host_memory import (
    free_host_bytes,
    host_rooms,
    resident_bytes,
    total_host_bytes,
)


@dataclass(frozen=True)
class MemoryFinding:
    """Bytes, None where they are unknown; `limited_by` names what leaves least."""

    total_bytes: int | None
    free_bytes: int | None
    limited_by: str
    own_bytes: int | None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def find_memory() -> MemoryFinding:
    """As it is now."""
    rooms = host_rooms()
    limited_by = min(rooms, key=lambda room: room[1])[0] if rooms else ""
    return MemoryFinding(total_host_bytes(), free_host_bytes(), limited_by, resident_bytes())
