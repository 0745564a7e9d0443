"""The benchmark's table on the terminal, and its figures for the file."""

from collections.abc import Iterable, Mapping

from quantize.artifact.manifest import Manifest
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_table import columns
from tests.benches.recipes.files import Score
from tests.benches.recipes.ladders import Finding

# What the format alone must save on the layers it quantizes, against BF16.
_SMALLER_LIMITS = {"fp8": 1.9, "nvfp4": 3.2}


def _smaller(manifest: Manifest) -> float:
    """How many times smaller the quantized layers are than in BF16."""
    return 16 / manifest.bits_per_weight


def recipes_table(manifests: Mapping[str, Manifest], scores: Mapping[str, Score]) -> str:
    """One row per recipe, in the order they were asked for."""
    head = ("recipe", "bits/weight", "smaller", "seconds", "peak MB", "SNR dB", "nats/token")
    rows = []
    for name, score in scores.items():
        manifest = manifests[name]
        snr = "exact" if score.weight_snr_db is None else f"{score.weight_snr_db:.1f}"
        text, choice = score.values.values()
        rows.append(
            (
                name,
                f"{manifest.bits_per_weight:.3f}",
                f"{_smaller(manifest):.2f}x",
                f"{manifest.seconds:.1f}",
                f"{manifest.peak_memory_bytes / 1e6:.0f}",
                snr + ("~" if score.rescaled else ""),
                f"{text:.4f}",
                f"{choice * 100:.1f}",
            )
        )
    return (
        f"{columns((*head, 'choice %'), rows)}\n"
        "~ the recipe moves scales between layers; every channel was matched before comparing\n"
        "GGUF: decoded weights; llama.cpp's kernels also round inputs to 8 bits"
    )


def findings_table(findings: Iterable[Finding]) -> str:
    """Every step of theory with its paired difference, and whether it is borne out."""
    rows = []
    for finding in findings:
        step, interval = finding.step, finding.interval
        word = "shown" if finding.shown else "not contradicted" if finding.met else "CONTRADICTED"
        bounds = " to ".join(f"{bound:+.4f}" for bound in interval.bounds or ())
        difference = f"{interval.value:+.4f} ({bounds})"
        rows.append((f"{step.better} <= {step.worse}", difference, word, step.why))
    head = ("nats per token, first minus second", "theory: at most zero", "", "")
    return columns(head, rows)


def figures(
    manifests: Mapping[str, Manifest], scores: Mapping[str, Score], findings: Iterable[Finding]
) -> list[Figure]:
    """All of it as figures; limits stand only where something must hold."""
    found: list[Figure] = []
    for name, score in scores.items():
        manifest = manifests[name]
        limit = _SMALLER_LIMITS.get(name)
        smaller = _smaller(manifest)
        met = None if limit is None else smaller >= limit
        found += [
            Figure(name=f"{name} bits per weight", value=manifest.bits_per_weight, unit="bit"),
            Figure(name=f"{name} smaller", value=smaller, unit="x", limit=limit, met=met),
            Figure(name=f"{name} time", value=manifest.seconds, unit="s"),
            Figure(name=f"{name} peak memory", value=manifest.peak_memory_bytes, unit="byte"),
            *(
                Figure(name=f"{name} {task}", value=value, unit="nats/token or share")
                for task, value in score.values.items()
            ),
        ]
        if score.weight_snr_db is not None:
            found.append(Figure(name=f"{name} weight SNR", value=score.weight_snr_db, unit="dB"))
    for finding in findings:
        found.append(
            Figure(
                name=f"{finding.step.better} minus {finding.step.worse}",
                value=finding.interval.value,
                unit="nats/token",
                limit=0.0,
                met=finding.met,
            )
        )
    return found
