"""Which picture comes next."""

import asyncio
from itertools import pairwise
from pathlib import Path

from swin2sr_headless.batch.sources import Item, Source
from swin2sr_headless.batch.staging import Staged, Waiting


def staged(number, size):
    item = Item(Source(str(number)), f"{number}_x4")
    return Staged(item, Path(str(number)), Path(), "", {}, size)


def test_equal_sizes_follow_each_other_and_none_is_lost():
    sizes = [(8, 8), (16, 8), (8, 8), None, (16, 8), (16, 8), (8, 8)]

    async def order():
        waiting, taken, size = Waiting(len(sizes)), [], None
        for number, each in enumerate(sizes):
            await waiting.put(staged(number, each))
        await waiting.close()
        while (next_one := await waiting.take(size)) is not None:
            taken.append(next_one)
            size = next_one.size
        return taken

    taken = asyncio.run(order())
    assert sorted(int(each.item.source.name) for each in taken) == list(range(len(sizes)))
    changes = sum(a.size != b.size for a, b in pairwise(taken))
    assert changes == len(set(sizes)) - 1


def test_no_more_than_there_is_room_for_are_fetched_ahead():
    async def full():
        waiting = Waiting(2)
        for number in range(2):
            await waiting.put(staged(number, (8, 8)))
        third = asyncio.create_task(waiting.put(staged(2, (8, 8))))
        await asyncio.sleep(0.01)
        before = third.done()
        await waiting.take(None)
        await third
        return before

    assert asyncio.run(full()) is False
