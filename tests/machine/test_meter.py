"""The meter: every storage once, from its birth to its death, and nothing that was there before."""

import gc

import pytest
import torch

from swin2sr_core.machine.meter import PeakMeter

KB = 1 << 10


def kilobytes(count: int) -> torch.Tensor:
    return torch.empty(count * KB, dtype=torch.uint8)


def test_an_idle_meter_reads_zero():
    with PeakMeter() as meter:
        pass
    assert (meter.live, meter.peak) == (0, 0)


def test_live_falls_and_peak_stays():
    with PeakMeter() as meter:
        a = kilobytes(3)
        b = kilobytes(4)
        assert (meter.live, meter.peak) == (7 * KB, 7 * KB)
        del a
        assert (meter.live, meter.peak) == (4 * KB, 7 * KB)
        c = kilobytes(2)
        assert (meter.live, meter.peak) == (6 * KB, 7 * KB)
        del b, c
    assert (meter.live, meter.peak) == (0, 7 * KB)


def test_a_temporary_inside_an_expression_counts_while_it_lives():
    x = torch.ones(256)
    with PeakMeter() as meter:
        x = (x + 1) * 2
    assert meter.live == KB
    assert meter.peak == 2 * KB


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float32, torch.float64])
def test_bytes_not_elements(dtype):
    with PeakMeter() as meter:
        x = torch.zeros(100, dtype=dtype)
    assert meter.live == 100 * x.element_size()


def test_views_keep_the_whole_storage_alive():
    with PeakMeter() as meter:
        x = kilobytes(8)
        view = x.view(8, KB)[2:3].t()
        assert meter.peak == 8 * KB
        del x
        assert meter.live == 8 * KB
        del view
        assert meter.live == 0


def test_expanding_takes_nothing_and_copying_takes_all():
    with PeakMeter() as meter:
        x = kilobytes(1)
        wide = x.expand(50, KB)
        assert meter.peak == KB
        copy = wide.contiguous()
        assert meter.peak == 51 * KB
    assert copy.shape == wide.shape


def test_what_works_in_place_takes_nothing():
    with PeakMeter() as meter:
        x = torch.zeros(256)
        x.add_(1).mul_(2).clamp_(0, 1)
        x[3:9] = 7
        torch.add(x, x, out=x)
    assert meter.peak == KB


def test_what_was_there_before_does_not_count():
    outside = torch.ones(256)
    with PeakMeter() as meter:
        outside += 1
        half = outside[:128]
        assert meter.peak == 0
        made = half + 1
    assert meter.peak == made.numel() * 4


def test_every_result_of_an_operation_counts():
    x = torch.rand(256)
    with PeakMeter() as meter:
        values, order = x.sort()
    assert meter.live == values.numel() * 4 + order.numel() * 8


def test_a_thousand_storages_one_after_the_other_are_one():
    """The allocator gives the same address again and again."""
    with PeakMeter() as meter:
        for _ in range(1000):
            x = kilobytes(4)
            del x
        assert meter.live == 0
    assert meter.peak == 4 * KB


def test_a_reference_cycle_counts_until_it_is_collected():
    with PeakMeter() as meter:
        knot: list[object] = [kilobytes(2)]
        knot.append(knot)
        del knot
        gc.collect()
        assert meter.live == 0


def test_it_counts_in_inference_mode_and_in_layers():
    layer = torch.nn.Linear(256, 512)
    x = torch.rand(4, 256)
    with torch.inference_mode(), PeakMeter() as meter:
        out = layer(x)
        assert meter.live == out.numel() * 4


def test_a_device_can_be_singled_out():
    with PeakMeter("meta") as meta, PeakMeter("cpu") as cpu, PeakMeter() as both:
        host = kilobytes(2)
        device = torch.empty(3 * KB, dtype=torch.uint8, device="meta")
    assert (meta.live, cpu.live, both.live) == (3 * KB, 2 * KB, 5 * KB)
    assert device.shape != host.shape


def test_it_ends_with_its_block_and_lets_errors_out():
    meter = PeakMeter()
    with pytest.raises(ZeroDivisionError), meter:
        kept = kilobytes(1)
        raise ZeroDivisionError
    after = kilobytes(9)
    assert meter.peak == KB
    assert after.numel() == 9 * kept.numel()


def test_results_are_untouched():
    x = torch.rand(9, 9, generator=torch.Generator().manual_seed(0))
    expected = (x @ x).softmax(0).sort()
    with PeakMeter():
        found = (x @ x).softmax(0).sort()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
