"""What the explorer measures is what theory and the formats' definitions say.

covers: eval/explore/in_quantize/block_sizes.py, eval/explore/in_quantize/rounding_errors.py,
eval/explore/in_quantize/explored_format.py, eval/explore/in_quantize/explored_formats.py,
eval/explore/in_quantize/grids.py, eval/explore/in_quantize/live_model.py,
eval/explore/in_quantize/sensitivity.py, eval/explore/in_quantize/sampled_layers.py,
eval/explore/in_quantize/synthetic.py
"""

import math

import pytest
import torch

from eval.explore.in_quantize.block_sizes import block_points
from eval.explore.in_quantize.explored_format import Format
from eval.explore.in_quantize.explored_formats import BY_NAME, FORMATS
from eval.explore.in_quantize.grids import grids
from eval.explore.in_quantize.rounding_errors import crest, measure, snr_db
from eval.explore.in_quantize.sensitivity import plan_work
from eval.explore.in_quantize.synthetic import synthetic


@pytest.fixture(scope="module")
def gaussian() -> torch.Tensor:
    return torch.randn(64, 512, generator=torch.Generator().manual_seed(1))


def test_snr_of_a_tenth_of_noise_is_twenty_db() -> None:
    x = torch.ones(100)
    assert snr_db(x, x * 1.1) == pytest.approx(20, abs=1e-4)
    assert snr_db(x, x) is None
    assert crest(torch.tensor([3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])) == pytest.approx(3)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_rounding_keeps_the_shape_and_is_finite(form: Format, gaussian: torch.Tensor) -> None:
    rounded = form.round(gaussian)
    assert rounded.shape == gaussian.shape
    assert rounded.isfinite().all()
    assert not form.round(torch.zeros(1, 256)).any()


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        *(("nvfp4", 4.5), ("mxfp4", 4.25), ("mxfp8", 8.25), ("q8_0", 8.5), ("q6_k", 6.5625)),
        *(("q4_k", 4.5), ("q4_0", 4.5), ("int4-g128", 4.125), ("fp16", 16), ("fp32", 32)),
    ],
)
def test_bits_per_weight_are_those_of_the_formats(name: str, bits: float) -> None:
    assert BY_NAME[name].facts().bits == bits


def test_one_bit_more_is_worth_six_db(gaussian: torch.Tensor) -> None:
    eight, four = (snr_db(gaussian, BY_NAME[n].round(gaussian)) for n in ("int8-g128", "int4-g128"))
    assert eight is not None
    assert four is not None
    # 255 and 15 steps span the range: 20 log10(127/7).
    assert eight - four == pytest.approx(20 * math.log10(127 / 7), abs=0.3)


def test_histograms_count_every_value_once(gaussian: torch.Tensor) -> None:
    found = measure("gaussian", [gaussian], BY_NAME["nvfp4"])
    assert found is not None
    snr, histogram = found
    assert sum(histogram.counts) + histogram.exact == pytest.approx(1, abs=1e-3)
    assert snr.median_db == snr.low_db == snr.high_db
    assert measure("odd", [gaussian[:, :100]], BY_NAME["q4_k"]) is None


def test_smaller_blocks_and_finer_scales_lose_less(gaussian: torch.Tensor) -> None:
    at = {(p.scale, p.block): p for p in block_points("gaussian", gaussian)}
    exact = [at["FP32", size].snr_db for size in (8, 16, 32, 64, 128, 256, 512, None)]
    assert exact == sorted(exact, reverse=True)
    assert at["E8M0", 16].snr_db < at["E4M3", 16].snr_db < at["FP32", 16].snr_db + 0.2
    assert at["E4M3", 16].bits == 4.5


def test_the_standard_points_are_the_standard_formats(gaussian: torch.Tensor) -> None:
    at = {(p.scale, p.block): p.snr_db for p in block_points("gaussian", gaussian)}
    same = {"nvfp4": ("E4M3", 16), "mxfp4": ("E8M0", 32), "fp4-e2m1": ("FP32", None)}
    for name, key in same.items():
        assert at[key] == pytest.approx(snr_db(gaussian, BY_NAME[name].round(gaussian)), abs=1e-3)


def test_synthetic_data_is_the_same_every_time_and_has_its_outliers() -> None:
    first, second = synthetic(), synthetic()
    crests = {entry.name: entry.crest for entry, _ in first}
    assert crests["gaussian"] < 6 < 20 < min(crests["student"], crests["channels"])
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True))


def test_grids_hold_every_magnitude() -> None:
    sizes = {grid.name: len(grid.values) for grid in grids()}
    assert sizes == {
        "e5m2": 124,
        "e4m3": 127,
        "e3m2": 32,
        "e2m3": 32,
        "e2m1": 8,
        "int8": 128,
        "int4": 8,
    }


def test_work_shrinks_with_the_model_and_ends_in_none() -> None:
    small = plan_work(2_000_000, 2, 7, gpu=False)
    usual = plan_work(23_000_000, 6, 7, gpu=False)
    middle = plan_work(120_000_000, 24, 7, gpu=False)
    assert small is not None
    assert usual is not None
    assert middle is not None
    assert small.tokens > usual.tokens
    assert (usual.coarse, middle.coarse) == (False, True)
    assert plan_work(70_000_000_000, 80, 7, gpu=False) is None
