"""Admission is a law of numbers: what starts, waits and is refused, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_headless.service.admission import (
    HELD,
    Admit,
    Forecast,
    Limits,
    Load,
    Queue,
    Reject,
    State,
    admit,
    place,
    wait_seconds,
)
from swin2sr_headless.service.dispatcher import _usual_rate

TEN = Forecast(1, 10.0)
seconds = st.floats(0, 1e4)
forecasts = st.builds(Forecast, st.integers(0, 1 << 40), st.none() | seconds)
states = st.integers(1, 8).flatmap(
    lambda workers: st.builds(
        State,
        workers=st.just(workers),
        running=st.lists(seconds, max_size=workers).map(tuple),
        waiting=st.lists(forecasts, max_size=40).map(tuple),
        upload_bytes=st.integers(0, 1 << 31),
        draining=st.booleans(),
    )
)


def decided(state, forecast=TEN, timeout=None, size=1, **limits):
    return admit(forecast, size, Limits(**limits), state, timeout)


def test_a_free_worker_takes_it():
    assert decided(State(2, (5.0,))) == Admit()


def test_a_busy_one_lets_it_wait_for_what_is_before_it():
    assert decided(State(1, (5.0,), (TEN,))) == Queue(2, 15.0)
    assert decided(State(2, (5.0, 7.0), (TEN,))) == Queue(2, 7.0)


def test_waits_are_sums_and_a_machine_that_slept_is_no_slow_one():
    quick, slow, slept = (10.0, 100.0), (5.0, 100.0), (0.001, 100.0)
    assert _usual_rate([quick, slow]) == pytest.approx(200 / 30)
    assert _usual_rate([quick, quick, quick, quick, slept]) == pytest.approx(10)
    assert _usual_rate([(1.0, 1.0), (10.0, 1000.0)]) == pytest.approx(1001 / 101)


def test_full_in_number_in_seconds_and_in_bytes():
    busy = State(1, (5.0,), (TEN,), upload_bytes=90)
    assert decided(busy, queue=1) == Reject(503, "1 pictures wait already; try again later", 15)
    by_time = decided(busy, wait_seconds=12)
    assert isinstance(by_time, Reject) and (by_time.status, by_time.retry_after) == (503, 3)
    assert isinstance(decided(busy, size=20, queue_bytes=100), Reject)
    assert isinstance(decided(busy, size=10, queue_bytes=100), Queue)


def test_nothing_starts_that_cannot_end_in_time():
    late = decided(State(1, (5.0,)), timeout=14)
    assert isinstance(late, Reject) and late.status == 504
    assert isinstance(decided(State(1, (5.0,)), timeout=15), Queue)


@given(states, forecasts)
def test_laws(state, forecast):
    decision = decided(state, forecast)
    if state.draining:
        assert isinstance(decision, Reject) and decision.status == 503
    elif isinstance(decision, Admit):
        assert len(state.running) < state.workers and not state.waiting
    elif isinstance(decision, Queue):
        assert decision.position == len(state.waiting) + 1 <= Limits().queue
        assert decision.seconds == wait_seconds(state) <= Limits().wait_seconds
    else:
        assert decision.retry_after is not None and decision.retry_after >= 1


@given(states, forecasts)
def test_who_comes_later_waits_no_less(state, forecast):
    later = State(state.workers, state.running, (*state.waiting, forecast))
    assert wait_seconds(later) >= wait_seconds(state)


loads = st.lists(
    st.none()
    | st.builds(
        Load,
        st.sampled_from(["cpu", "cuda:0"]),
        st.lists(st.integers(1, 100), max_size=HELD).map(tuple),
        st.booleans(),
    ),
    max_size=5,
)
rooms = st.fixed_dictionaries({"cpu": st.none() | st.integers(0, 300), "cuda:0": st.just(150)})


def test_who_has_least_to_do_gets_it_and_the_next_is_read_beside():
    busy, free = Load("cpu", (10,)), Load("cpu")
    assert place(10, False, [busy, free], {"cpu": 20}) == 1
    assert place(10, False, [busy], {"cpu": 20}) == 0
    assert place(10, False, [Load("cpu", (1,) * HELD)], {}) is None


def test_bytes_are_shared_by_all_workers_of_a_device():
    rows = [Load("cpu", (10,)), Load("cpu"), Load("cuda:0")]
    assert place(11, False, rows[:2], {"cpu": 20}) is None
    assert place(11, False, rows, {"cpu": 20, "cuda:0": 20}) == 2
    assert place(999, False, [Load("cpu"), None], {"cpu": 20}) == 0  # its plan was made for that


@given(loads, st.integers(1, 200), st.booleans(), rooms)
def test_laws_of_places(loads, size, alone, rooms):
    number = place(size, alone, loads, rooms)
    if number is None:
        on_free_devices = {each.device for each in loads if each and not each.held} - {
            each.device for each in loads if each and each.held
        }
        assert not [
            each for each in loads if each and each.device in on_free_devices and not each.alone
        ]
        return
    load = loads[number]
    taken = sum(sum(each.held) for each in loads if each and each.device == load.device)
    assert not load.alone and len(load.held) < HELD and not (alone and load.held)
    assert not taken or rooms[load.device] is None or taken + size <= rooms[load.device]
