"""The benchmark's table on the terminal, and its figures for the file."""

from collections.abc import Iterable, Mapping

from quantize.artifact.manifest import Manifest
from tests.benches.harness.bench_figures import Figure
from tests.benches.recipes.files import Score
from tests.benches.recipes.ladders import Finding

_HEAD = (
    f"{'recipe':<28} {'bits/weight':>11} {'smaller':>8} {'seconds':>8} {'peak MB':>8} "
    f"{'SNR dB':>8} {'nats/token':>10} {'choice %':>9}"
)
# What the format alone must save on the layers it quantizes, against BF16.
_SMALLER_LIMITS = {"fp8": 1.9, "nvfp4": 3.2}


def _smaller(manifest: Manifest) -> float:
    """How many times smaller the quantized layers are than in BF16."""
    return 16 / manifest.bits_per_weight


def print_table(manifests: Mapping[str, Manifest], scores: Mapping[str, Score]) -> None:
    """One row per recipe, in the order they were asked for."""
    print("\n" + _HEAD + "\n" + "-" * len(_HEAD))
    for name, score in scores.items():
        manifest = manifests[name]
        snr = "exact" if score.weight_snr_db is None else f"{score.weight_snr_db:.1f}"
        text, choice = score.values.values()
        print(
            f"{name:<28} {manifest.bits_per_weight:>11.3f} {_smaller(manifest):>7.2f}x "
            f"{manifest.seconds:>8.1f} {manifest.peak_memory_bytes / 1e6:>8.0f} "
            f"{snr + ('~' if score.rescaled else ''):>8} {text:>10.4f} {choice * 100:>9.1f}"
        )
    print(
        "~ the recipe moves scales between layers; every channel was matched before comparing\n"
        "GGUF: decoded weights; llama.cpp's kernels also round inputs to 8 bits"
    )


def print_findings(findings: Iterable[Finding]) -> None:
    """Every step of theory with its paired difference, and whether it is borne out."""
    print("\nnats per token, first minus second (95 % interval); theory says at most zero")
    for finding in findings:
        step, interval = finding.step, finding.interval
        word = "shown" if finding.shown else "not contradicted" if finding.met else "CONTRADICTED"
        bounds = " to ".join(f"{bound:+.4f}" for bound in interval.bounds or ())
        print(
            f"  {step.better + ' <= ' + step.worse:<44} {interval.value:+.4f} "
            f"({bounds})  {word:<16} {step.why}"
        )


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
