"""What does not fit a device is refused in words that tell both sizes."""

from deploy.planner.room import placement_of, why_no_room
from quantize.machine import Machine
from quantize.recipes.catalogue import find_recipe
from quantize.sizing.capacity import GIB, Placement, need
from quantize.source.model_shape import read_shape
from tests.quantize.source.test_model_shape import LLAMA_8B

NEED = need(read_shape(LLAMA_8B), find_recipe("bf16"), context=4096, concurrency=1)


def test_a_device_holds_what_is_smaller_than_its_usable_memory() -> None:
    assert why_no_room(NEED.total_bytes, Placement(name="H100", memory_bytes=80 * GIB)) is None


def test_what_is_larger_is_refused_with_both_sizes() -> None:
    why = why_no_room(NEED.total_bytes, Placement(name="T", memory_bytes=16 * GIB))
    assert why == f"needs {NEED.total_bytes / GIB:.1f} GiB, T has 14.7 GiB"


def test_two_gpus_hold_what_one_does_not() -> None:
    card = Placement(name="T", memory_bytes=16 * GIB)
    assert why_no_room(NEED.total_bytes, card, gpus=2) is None
    two = Placement(name="T", memory_bytes=8 * GIB)
    assert "2 x T have 14.7 GiB" in str(why_no_room(NEED.total_bytes, two, gpus=2))


def test_memory_that_is_the_systems_too_is_not_all_an_engines() -> None:
    spark = placement_of(Machine(device="blackwell", name="GB10"), 128 * 10**9)
    card = placement_of(Machine(device="blackwell", name="B", memory_bytes=1), 128 * 10**9)
    assert spark.usable_bytes < card.usable_bytes - 7 * GIB
