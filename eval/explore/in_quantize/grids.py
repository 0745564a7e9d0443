"""The values of the small element formats, without their scales."""

from eval.explore.explorer_figures import Grid
from eval.explore.in_quantize.explored_format import positive
from quantize.formats.in_quantize.minifloat import E2M1, E2M3, E3M2, E4M3, E5M2


def grids() -> tuple[Grid, ...]:
    """The values of every element of 8 bits and fewer, zero and above."""
    floats = (("E5M2", E5M2), ("E4M3", E4M3), ("E3M2", E3M2), ("E2M3", E2M3), ("E2M1", E2M1))
    rows = [("INT8", range(128)), ("INT4", range(8))]
    found = [
        Grid(name=name.lower(), label=name, values=(0.0, *positive(element).tolist()))
        for name, element in floats
    ]
    found += [
        Grid(name=name.lower(), label=name, values=tuple(float(v) for v in values))
        for name, values in rows
    ]
    return tuple(found)
