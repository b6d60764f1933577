"""Chains: their chance, their order, and the four strengths of the test set."""

import numpy as np
import pytest

from swin2sr_core.errors import InputError
from swin2sr_headless.degradation.chain import STRENGTHS, Degradation, Step, worsened
from swin2sr_headless.degradation.drawn import drawn_picture

BLUR, NOISE = Step("blur", (1.5, 1.5)), Step("noise", (20.0, 20.0))


@pytest.fixture(scope="module")
def picture():
    return drawn_picture(0, 0, 64)


def error(a, b):
    return float(np.square(a.astype(float) - b).mean())


def left(how, count=12):
    """The error that each chance leaves on a grey picture."""
    flat = np.full((64, 64, 3), 128, np.uint8)
    return [error(worsened(flat, how, np.random.default_rng(i)), flat) for i in range(count)]


def test_the_same_chance_gives_the_same_picture(picture):
    how = Degradation(1.0, (BLUR, NOISE), (Step("jpeg", (30, 90)),))
    a, b, c = (worsened(picture, how, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_nothing_to_do_leaves_the_picture(picture):
    assert np.array_equal(worsened(picture, Degradation(1.0), np.random.default_rng(0)), picture)


def test_the_order_is_random():
    """Blur after noise leaves less noise than noise after blur."""
    errors = left(Degradation(1.0, (BLUR, NOISE)))
    assert max(errors) > 4 * min(errors)


def test_what_is_last_is_last():
    errors = left(Degradation(1.0, (NOISE,), (BLUR,)))
    assert max(errors) < 4 * min(errors)
    assert max(errors) < 0.25 * min(left(Degradation(1.0, (BLUR,), (NOISE,))))


def test_a_step_happens_by_its_chance():
    errors = left(Degradation(1.0, (Step("noise", (9.0, 9.0), 0.25),)), 80)
    assert 0.1 < np.mean(np.array(errors) > 0) < 0.4


def test_each_strength_differs_from_the_one_before(picture):
    made = [worsened(picture, how, np.random.default_rng(5)) for how in STRENGTHS.values()]
    assert len({each.tobytes() for each in made}) == len(STRENGTHS) == 4
    light, *others = (error(each, picture) for each in made)
    assert 0 < light < min(others)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("smear", (0, 1)), "there is no damage 'smear'; there are blur, "),
        (("blur", (2, 1)), "an amount from low to high"),
        (("blur", (0, 1), 1.5), "a chance of 0 to 1"),
    ],
)
def test_mistakes_are_told(values, said):
    with pytest.raises(InputError, match=said):
        Step(*values)
