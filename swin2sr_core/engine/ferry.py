"""Pieces of maps and pictures on their way between the host and the compute device."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..network.window_grid import MapRegion

HOST = torch.device("cpu")

Take = Callable[[Tensor], object]
"""Gets what has arrived; it is the ferry's own memory, used again afterwards."""


class Ferry:
    """Serves one run on `device`. To and from a CUDA device it goes by two pinned buffers, kept.

    Nothing waits there but for what it needs: while the device computes a piece, the host cuts out
    the next one and takes in the one before. All is asked of one stream, which keeps the order;
    a second one would need memory on the device for a region that waits.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pinned = {name: torch.empty(0, dtype=torch.uint8) for name in ("there", "back")}
        self._left: torch.cuda.Event | None = None
        self._coming: tuple[torch.cuda.Event, Tensor, Take] | None = None

    def bring(self, source: Tensor, region: MapRegion) -> Tensor:
        """The region of a map (B H W C, anywhere), contiguous, on the device.

        It wraps around at the map's borders.
        """
        shape = (len(source), region.height, region.width, source.shape[3])
        if source.device == self.device or not self._pins:
            cut = torch.empty(shape, dtype=source.dtype, device=source.device)
            _cut_out(source, region, cut)
            return cut.to(self.device)
        if self._left is not None:
            self._left.synchronize()
        cut = self._buffer("there", shape, source.dtype)
        _cut_out(source, region, cut)
        brought = torch.empty(shape, dtype=source.dtype, device=self.device)
        brought.copy_(cut, non_blocking=True)
        self._left = torch.cuda.Event()
        self._left.record()
        return brought

    def send(self, piece: Tensor, target: torch.device, take: Take) -> None:
        """Have `take` get what is on the device, on `target`: now, or with the next call of this.

        Raises what `take` raises, of this piece or the one before.
        """
        if target.type != "cpu" or not self._pins:
            take(piece.to(target))
            return
        self.settle()
        arriving = self._buffer("back", tuple(piece.shape), piece.dtype)
        arriving.copy_(piece, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._coming = event, arriving, take

    def settle(self) -> None:
        """Wait for what was sent, and have it taken."""
        if self._coming is not None:
            event, arriving, take = self._coming
            self._coming = None
            event.synchronize()
            take(arriving)

    @property
    def _pins(self) -> bool:
        return self.device.type == "cuda"

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        size = torch.Size(shape).numel() * dtype.itemsize
        if len(self._pinned[name]) < size:
            self._pinned[name] = torch.empty(0, dtype=torch.uint8)
            self._pinned[name] = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        return self._pinned[name][:size].view(dtype).view(shape)


def _cut_out(source: Tensor, region: MapRegion, target: Tensor) -> None:
    for rows, to_rows in _spans(region.top, region.height, region.map_height):
        for columns, to_columns in _spans(region.left, region.width, region.map_width):
            target[:, to_rows, to_columns] = source[:, rows, columns]


def _spans(start: int, size: int, full: int) -> Iterator[tuple[slice, slice]]:
    """Where `size` pixels from `start` lie on an axis that wraps, and where among themselves."""
    done = 0
    while done < size:
        begin = (start + done) % full
        count = min(size - done, full - begin)
        yield slice(begin, begin + count), slice(done, done + count)
        done += count
