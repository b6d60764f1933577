"""Memory that ends on a pretended card, as benchmarks/gpu_acceptance.py tries it on a real one."""

import sys
from pathlib import Path

import pytest
from pretended_card import CUDA
from pretended_card import Card as Pretended

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from gpu import shortage
from gpu.card import Card
from gpu.networks import HEADS
from gpu.report import Report

NETWORK = HEADS["direct x4"]
SIDE = 96


@pytest.fixture
def pretended():
    with Pretended(memory=2 << 30) as card:
        yield card


def rows_of(report, section):
    return [row for row in report.rows if row.section == section]


def test_the_picture_is_made_within_every_limit(pretended):
    report = Report()
    shortage.limits(Card(CUDA), report, NETWORK, SIDE)
    rows = rows_of(report, "limit")
    assert len(rows) == 5 and report.failed == 0, report.to_list()
    assert any(row.facts.get("steps") not in (None, 0) for row in rows), "memory never ran out"
    assert pretended.limit == pretended.memory, "the limit stays behind"


def test_another_process_takes_the_card_in_the_middle(pretended):
    left = []

    def take(leaves):
        left.append(leaves)
        pretended.taken = max(0, pretended.memory - pretended.live - leaves)

        def end():
            pretended.taken = 0

        return end

    report = Report()
    shortage.neighbour(Card(CUDA), report, NETWORK, SIDE, (4 << 20, 1 << 20), take)
    assert left == [4 << 20, 1 << 20]
    assert len(rows_of(report, "neighbour")) == 2 and report.failed == 0, report.to_list()
