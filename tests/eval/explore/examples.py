"""Invented figures of a model of two blocks, complete enough for every section of the page."""

from eval.explore.explorer_figures import (
    BlockPoint,
    Cell,
    DataSet,
    Figures,
    FormatFacts,
    Grid,
    Histogram,
    LayerSnr,
    Sensitivity,
    Snr,
)

# Name, label, family, sign, exponent, mantissa, scale bits, block.
_FORMATS = (
    ("fp32", "FP32", "floating point", 1, 8, 23, 0.0, 0),
    ("bf16", "BF16", "floating point", 1, 8, 7, 0.0, 0),
    ("fp8-e4m3", "FP8 E4M3", "floating point", 1, 4, 3, 0.0, None),
    ("fp8-e5m2", "FP8 E5M2", "floating point", 1, 5, 2, 0.0, None),
    ("fp4-e2m1", "FP4 E2M1", "floating point", 1, 2, 1, 0.0, None),
    ("nvfp4", "NVFP4", "scaled blocks", 1, 2, 1, 0.5, 16),
    ("mxfp4", "MXFP4", "scaled blocks", 1, 2, 1, 0.25, 32),
    ("int8-g128", "INT8 g128", "integer groups", 1, 0, 7, 0.125, 128),
    ("int4-g128", "INT4 g128", "integer groups", 1, 0, 3, 0.125, 128),
    ("q4_k", "Q4_K", "GGUF", 0, 0, 4, 0.5, 256),
)
_DATA = ("gaussian", "student", "channels", "weights", "inputs")
_LAYERS = ("fp8-e4m3", "mxfp4", "nvfp4", "int4-g128")


def db_of(bits: float, data: str) -> float:
    """An invented SNR that falls with the bits and differs between data sets."""
    return 5.5 * bits - 2.25 * _DATA.index(data)


def figures(*, model: str = "example", run: bool = True) -> Figures:
    """The figures; ``run=False``: of a model that was too large to be run."""
    facts = [_facts(*row) for row in _FORMATS]
    names = _DATA if run else _DATA[:-1]
    return Figures(
        inputs_sha256="0" * 64,
        model=model,
        parameters=23_100_000,
        stored_as="BF16",
        calibration="bundled calibration text",
        seconds=61.0,
        formats=tuple(facts),
        grids=(
            Grid(name="e2m1", label="E2M1", values=(0, 0.5, 1, 1.5, 2, 3, 4, 6)),
            Grid(name="int8", label="INT8", values=tuple(float(v) for v in range(128))),
        ),
        data=tuple(_data(name) for name in names),
        snr=tuple(_snr(f, name) for f in facts for name in names),
        histograms=tuple(_histogram(f, name) for f in facts for name in names),
        blocks=tuple(p for name in names for p in _points(name)),
        layers=tuple(_layer(name, kind, block, run) for name in _LAYERS
                     for kind in ("q_proj", "down_proj") for block in (0, 1)),
        sensitivity=_sensitivity() if run else Sensitivity(
            tokens=0, loss=None, formats=(), blocks=(), kinds=(), cells=(), why_not="too large"
        ),
    )  # fmt: skip


def _facts(
    name: str, label: str, family: str, sign: int, exponent: int, mantissa: int, scale: float,
    block: int | None,
) -> FormatFacts:  # fmt: skip
    is_float = family == "floating point"
    return FormatFacts.model_validate(
        {
            "name": name,
            "label": label,
            "family": family,
            "sign_bits": sign,
            "exponent_bits": exponent,
            "mantissa_bits": mantissa,
            "scale_bits": scale,
            "block": block,
            "scaling": "some scale",
            "smallest": 2.0**-20 if is_float else None,
            "smallest_normal": 2.0**-16 if is_float else None,
            "largest": 57344.0 if is_float else None,
        }
    )


def _data(name: str) -> DataSet:
    many = name in ("weights", "inputs")
    return DataSet(name=name, label=name.title(), made="made up", tensors=4 if many else 1, crest=7)


def _snr(facts: FormatFacts, data: str) -> Snr:
    exact = facts.name == "fp32" or (facts.name == "bf16" and data == "weights")
    middle = None if exact else db_of(facts.bits, data)
    low, high = (None, None) if middle is None else (middle - 1, middle + 1)
    return Snr(data=data, format=facts.name, median_db=middle, low_db=low, high_db=high)


def _histogram(facts: FormatFacts, data: str) -> Histogram:
    counts = (0.0, 0.1, 0.5, 0.3, 0.0, 0.0, 0.0)
    return Histogram(data=data, format=facts.name, low=-6, high=1, counts=counts, exact=0.1)


def _points(data: str) -> list[BlockPoint]:
    bits = {"FP32": 32, "FP16": 16, "E4M3": 8, "E8M0": 8}
    return [
        BlockPoint(
            data=data,
            scale=scale,
            block=block,
            bits=4 + (bits[scale] / block if block else 0),
            snr_db=20 - (block or 512) / 100 - (2 if scale == "E8M0" else 0),
        )
        for block in (16, 32, 64, None)
        for scale in bits
    ]


def _layer(name: str, kind: str, block: int, run: bool) -> LayerSnr:
    return LayerSnr(
        layer=f"model.layers.{block}.{kind}",
        block=block,
        kind=kind,
        format=name,
        weight_db=20.0 + block,
        input_db=18.0 - block if run else None,
        weight_crest=5.0,
        input_crest=40.0 if run else None,
    )


def _sensitivity() -> Sensitivity:
    formats, kinds, blocks = ("nvfp4", "nvfp4+inputs"), ("q_proj", "down_proj"), ("0", "1")
    cells = tuple(
        Cell(
            format=name,
            block=block,
            kind=kind,
            rise=0.004,
            rise_error=0.001,
            divergence=0.001 * (1 + int(block)) * (2 if kind == "down_proj" else 1),
        )
        for name in formats
        for kind in kinds
        for block in blocks
    )
    return Sensitivity(
        tokens=255, loss=1.2, formats=formats, blocks=blocks, kinds=kinds, cells=cells
    )
