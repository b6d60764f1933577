"""One rule of how much a plan may take, for every way to run."""

from dataclasses import replace

import pytest

from swin2sr_core import BudgetError, Swin2SRConfig
from swin2sr_core.planning.budget import Room, plan_within
from swin2sr_core.planning.picture_plan import Prospect
from swin2sr_core.planning.plan import fitted

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30
CONFIG = Swin2SRConfig(3, 60, (6,) * 4, (6,) * 4, 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
ON_GPU = Prospect(CONFIG, "fp16", "cuda")
ON_CPU = Prospect(CONFIG, "fp32", "cpu")


def test_the_budget_leaves_a_reserve():
    room = Room(free=None)
    assert room.budget(10 * GB) == 9 * GB
    assert room.budget(1200 * MB) == (1200 - 128) * MB
    assert room.budget(100) == 90
    assert room.budget(None) is None


def test_what_is_taken_otherwise_is_no_budget():
    assert Room(free=0, taken=2 * GB).budget(10 * GB) == 7 * GB
    assert Room(free=0, taken=20 * GB).budget(10 * GB) == 0


def test_a_named_budget_is_taken_as_it_is():
    request = ON_GPU.request(512, 512)
    assert plan_within(request, Room(free=0), 300 * MB) == fitted(request, 300 * MB)


def test_without_knowledge_of_what_is_free_any_plan_will_do():
    request = ON_GPU.request(512, 512)
    assert plan_within(request, Room(free=None)) == fitted(request)


def test_a_full_device_gets_the_smallest_plan_with_a_note():
    plan = plan_within(ON_GPU.request(512, 512), Room(free=KB, where="cuda:0"))
    assert any("is free on cuda:0" in note for note in plan.notes)
    with pytest.raises(BudgetError):
        plan_within(ON_CPU.request(512, 512), Room(free=KB))


def test_a_slightly_slower_plan_is_preferred_to_unloading_other_models():
    request = ON_GPU.request(1024, 1024)
    most = fitted(request, 20 * GB)
    needed = 10 * most.forecast_bytes // 9
    for share in (0.4, 0.6, 0.8, 0.95):
        free = int(needed * share)
        room = Room(free=free, available=20 * GB)
        modest = fitted(request, room.budget(free))
        taken = plan_within(request, room, slower=1.25)
        assert taken in (modest, replace(most, budget_bytes=room.budget(20 * GB)))
        assert (taken == modest) == (modest.cost <= 1.25 * most.cost)
        assert plan_within(request, room, slower=1e9) == modest


def test_where_nothing_fits_beside_other_models_they_have_to_go():
    room = Room(free=KB, available=20 * GB)
    assert plan_within(ON_GPU.request(512, 512), room).budget_bytes == room.budget(20 * GB)
    with pytest.raises(BudgetError):
        plan_within(ON_GPU.request(512, 512), Room(free=KB, available=2 * KB))
