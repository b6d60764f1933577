"""Each loss against its formula, in numpy."""

import numpy as np
import pytest
import torch

from training.config import Loss
from training.losses import frequency_loss, training_loss

CHROMA = [[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
"""JFIF's Cb and Cr of R, G and B."""


@pytest.mark.parametrize(
    ("how", "formula"),
    [
        (Loss("l1"), lambda d: np.abs(d).mean()),
        (Loss("l2"), lambda d: (d**2).mean()),
        (Loss("charbonnier", 0.1), lambda d: (np.sqrt(d**2 + 0.01) - 0.1).mean()),
        (
            Loss("l1", chroma=0.5),
            lambda d: np.abs(d).mean() + 0.5 * np.abs(np.einsum("dc,bchw->bdhw", CHROMA, d)).mean(),
        ),
        (
            Loss("l1", frequency=0.5),
            lambda d: np.abs(d).mean() + 0.5 * np.abs(np.fft.rfft2(d, norm="ortho")).mean(),
        ),
    ],
)
def test_a_loss_is_its_formula(how, formula, make_image):
    a, b = make_image(3, 12, 10, seed=1), make_image(3, 12, 10, seed=2)
    found = float(training_loss(a, b, how))
    assert found == pytest.approx(formula((a - b).double().numpy()), rel=1e-5)
    assert float(training_loss(a, a, how)) == pytest.approx(0, abs=1e-8)


def test_beyond_black_and_white_nothing_is_wrong():
    target = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5]).view(1, 1, 1, 5)
    output = torch.tensor([-0.2, 1.2, 0.1, 0.9, 1.2]).view(1, 1, 1, 5)
    assert float(training_loss(output, target, Loss("l1"))) == pytest.approx(0.9 / 5)


def test_the_gradient_is_finite_where_nothing_differs(make_image):
    output = make_image(3, 8, 8).requires_grad_()
    how = Loss("charbonnier", frequency=1.0)
    training_loss(output, output.detach().clone(), how).backward()
    assert output.grad is not None and bool(torch.isfinite(output.grad).all())


def test_the_spectrum_of_a_constant_difference_is_one_number():
    # 4 at frequency zero, and nothing at the eleven others that a real spectrum has
    found = frequency_loss(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
    assert float(found) == pytest.approx(4 / 12)
