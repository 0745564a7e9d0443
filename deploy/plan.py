"""The plan: one YAML file is one experiment.

Unknown keys are refused with their key path and the nearest valid name, so that a misspelt
objective is never silently ignored.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from deploy.plan_lengths import DISTRIBUTIONS
from deploy.plan_load import AnyLoad, ClosedLoopLoad, Load, load_section
from deploy.plan_model import fit_to_model, locate_files
from deploy.plan_published import name_published, with_baseline
from deploy.plan_sections import (
    Calibration,
    Objectives,
    Origin,
    Placement,
    Quality,
    Sampling,
    Section,
    later,
)
from deploy.plan_text import parse_plan
from deploy.plan_variants import Limits, ServingLimits, VariantName, split_limits
from deploy.plan_words import without_echoes, words_of
from deploy.residency.residency import Wish
from quantize.name_list import names_of
from services.engines.tuning import Tuning, refused_option
from services.variants import Variant, find_variant

PLANS_DIR = Path(__file__).parent / "plans"
DEFAULT_PLAN = "cpu-demo"
# Where the endpoints are, for whom, and when an engine is given up, changes no figure.
UNMEASURED = {
    "host": True,
    "port": True,
    "memory_gib": True,
    "hang_timeout_s": True,
    "crashes_before_failed": True,
    "crash_window_s": True,
    "drain_timeout_s": True,
    "api_keys_env": True,
    "api_keys_file": True,
    "cors_origins": True,
    "residency": True,
    "residency_gib": True,
    "residency_s": True,
}


class PlanError(ValueError):
    """A plan that cannot be used; the message names the file, the key path and the remedy."""


_UNMEASURED_SECTIONS = ("name", "variants", "limits", "objectives", "placement", "explore")


class Serving(Tuning):
    """Where and within what limits the endpoints run (sizes per variant).

    A variant may have limits and options of its own (``plan_variants.Limits``); an option that
    stands here is for the engines that have it.

    ``memory_gib`` bounds the memory in use of one engine: one that exceeds it is replaced. So is
    one that has not answered for ``hang_timeout_s``; the ``crashes_before_failed``-th failure
    within ``crash_window_s`` is the last.

    ``kv_cache_gib`` None leaves the cache what weights leave of the memory (``memory_share``).
    ``threads`` are an engine's compute threads. None leaves one core to everything else that must
    run beside the engine (Serve's proxy, the load generator): threads that wait for a preempted
    sibling make every token many times slower.

    With ``one_at_a_time`` a comparison serves each variant alone, as a GPU needs that holds one.

    ``residency`` is for a service (`make deploy-all`): all variants awake ``together``, or in
    ``turns``, in which a request for one that sleeps waits until others have made room; ``auto`` is
    together where they fit. ``residency_gib`` is what they may take together of the GPU's memory,
    of the machine's where there is none (None: 92 %, 80 %). One that was woken stays awake for
    ``residency_s`` at least, but for a pause of its own requests. Then a comparison serves each
    alone too.

    An address that others can reach needs API keys. A plan never holds one: it names the variable
    ``api_keys_env`` (keys separated by commas), or ``api_keys_file`` (one a line; mode 600).
    ``cors_origins`` are the origins (``https://chat.example.org``, or ``*`` for all) whose pages in
    a browser may use the endpoints; by default none. ``drain_timeout_s`` is how long a service that
    is stopped lets open requests finish.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    context_length: int = Field(default=2048, ge=64)
    max_sequences: int = Field(default=16, ge=1)
    queue_length: int = Field(default=64, ge=0)
    threads: int | None = Field(default=None, ge=1)
    kv_cache_gib: float | None = Field(default=1.0, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)
    hang_timeout_s: float = Field(default=30, gt=0)
    crashes_before_failed: int = Field(default=4, ge=1)
    crash_window_s: float = Field(default=600, gt=0)
    start_timeout_s: float = Field(default=600, gt=0)
    request_timeout_s: float = Field(default=300, gt=0)
    drain_timeout_s: float = Field(default=15, ge=0, le=30)
    one_at_a_time: bool = later(False)
    residency: Wish = later("auto")
    residency_gib: float | None = later(None, gt=0)
    residency_s: float = later(10.0, ge=0)
    max_body_bytes: int = Field(default=16 * 2**20, ge=1024)
    api_keys_env: str = Field(default="ASSAY_API_KEYS", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    api_keys_file: str | None = None
    cors_origins: tuple[Origin, ...] = later(())
    sampling: Sampling = later(Sampling())

    @field_validator("api_keys_file")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """The host process works in another folder than the command that starts it."""
        if path is not None and not path.startswith(("/", "~")):
            raise ValueError(f"{path!r} must be an absolute path, or begin with ~")
        return path

    def tuning_for(self, takes: frozenset[str]) -> Tuning:
        """The options of this section that an engine has which ``takes`` these."""
        return Tuning(**{name: value for name, value in self.given().items() if name in takes})

    @property
    def url(self) -> str:
        """The root of the service as seen from its own machine, without a path."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"


class Plan(Section):
    """One experiment. ``model``: ``reference``, a folder, a GGUF file, or a Hugging Face id.

    Of a published quantized ``model``, ``source`` names the 16-bit weights that it is compared
    with; a ``baseline`` that is a folder or an id means ``bf16-vllm`` of them. Its own variants are
    ``native-<engine>``.

    A variant is its name, or a mapping: ``variant`` (the name), ``kv_cache`` (the type of the
    key-value cache, by the engine's name), ``engine`` (compile an engine first:
    true, or int8 or int4 to round 16-bit weights in it), and any of its ``limits``.

    ``load`` is what the verdict compares speed at; ``stress`` are further loads, each of another
    kind, whose figures are told and decide nothing.

    ``explore`` false leaves out the figures of what every number format keeps of the model, which
    take minutes of a large one.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    model: str = "reference"
    variants: tuple[VariantName, ...] = Field(min_length=1)
    baseline: VariantName
    limits: Mapping[VariantName, Limits] = {}
    calibration: Calibration = Calibration()
    serving: Serving = Serving()
    load: AnyLoad = ClosedLoopLoad()
    stress: tuple[AnyLoad, ...] = later(())
    quality: Quality = Quality()
    objectives: Objectives = Objectives()
    placement: Placement = Placement()
    explore: bool = later(True)
    source: str | None = later(None)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, content: Any) -> Any:
        return split_limits(content) if isinstance(content, dict) else content

    @model_validator(mode="after")
    def _consistent(self) -> "Plan":
        if len(set(self.variants)) != len(self.variants):
            raise ValueError("variants: a name stands twice")
        if self.baseline not in self.variants:
            raise ValueError(f"baseline: {self.baseline!r} is not among the variants")
        at = self.objectives.load
        if at is not None and at not in self.load.amounts:
            raise ValueError(f"objectives: {at:g} is not among load.{self.load.points_key}")
        self._check_loads()
        self._check_options()
        return self

    @property
    def loads(self) -> tuple[Load, ...]:
        """The load that is compared, and then the others."""
        return self.load, *self.stress

    def _check_loads(self) -> None:
        longest = self.serving.context_length
        names = ["load", *(f"stress.{place}" for place in range(len(self.stress)))]
        for name, load in zip(names, self.loads, strict=True):
            if (need := load.longest_request) > longest:
                raise ValueError(
                    f"{name}: {load.longest_words} = {need} exceeds "
                    f"serving.context_length = {longest}"
                )
            if "rounds" in load.model_fields_set and load.rounds > self.load.rounds:
                raise ValueError(
                    f"{name}.rounds: {load.rounds} are more than load.rounds = {self.load.rounds}"
                )
        kinds = [load.kind for load in self.loads]
        if twice := {kind for kind in kinds if kinds.count(kind) > 1}:
            raise ValueError(f"stress: {', '.join(twice)} stands twice among load and stress")
        if any(load.text is not None or load.whole_texts for load in self.stress):
            raise ValueError("stress: texts stand in load alone, and are those of all loads")

    def _check_options(self) -> None:
        engines = {name: find_variant(name).engine for name in (*self.variants, *self.limits)}
        for name, own in self.limits.items():
            spec = engines[name]
            if reason := refused_option(own, spec.title, spec.tunes, spec.own_flags):
                raise ValueError(f"limits.{name}.{reason}")
        for spec in (engines[name] for name in self.variants):
            taken = self.serving.tuning_for(spec.tunes)
            if reason := refused_option(taken, spec.title, spec.tunes, spec.own_flags):
                raise ValueError(f"serving.{reason}")
        taken_by_any = frozenset[str]().union(*(engines[name].tunes for name in self.variants))
        if unused := sorted(self.serving.given().keys() - taken_by_any):
            raise ValueError(f"serving.{unused[0]}: no engine of this plan has such an option")

    def resolved_variants(self) -> list[Variant]:
        """The variants with their recipes and engines, in the plan's order."""
        return [find_variant(name) for name in self.variants]

    def limits_of(self, variant: str) -> ServingLimits:
        """The serving limits as they hold for one variant: its own, else everyone's."""
        limits = set(ServingLimits.model_fields) - {"tuning"}
        mine = self.limits.get(variant, Limits())
        everyone = self.serving.model_dump(include=limits)
        own = mine.model_dump(include=limits, exclude_none=True)
        options = self.serving.tuning_for(find_variant(variant).engine.tunes).given() | mine.given()
        return ServingLimits.model_validate({**everyone, **own, "tuning": Tuning(**options)})

    def measuring_sha256(self) -> str:
        """Hash of everything that decides what is measured (not which variants, not the verdict).

        Two plans that differ only in ``variants`` or ``objectives`` share their measurements. The
        variants' own limits belong to how each is served (``deploy.settings``).
        """
        kept = self.model_dump(
            mode="json",
            exclude=dict.fromkeys(_UNMEASURED_SECTIONS, True) | {"serving": UNMEASURED},
        )
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def plan_path(name_or_path: str) -> Path:
    """The file of a plan given by path or by the name of a bundled plan.

    Raises:
        PlanError: neither exists; the message lists the bundled plans.
    """
    for candidate in (Path(name_or_path), PLANS_DIR / f"{name_or_path}.yaml"):
        if candidate.is_file():
            return candidate
    bundled = ", ".join(sorted(path.stem for path in PLANS_DIR.glob("*.yaml")))
    raise PlanError(f"no plan {name_or_path!r}: give a file's path or one of: {bundled}")


def load_plan(
    name_or_path: str,
    *,
    model: str | None = None,
    variants: str | None = None,
    baseline: str | None = None,
) -> Plan:
    """Read and check a plan; ``model`` and comma-separated ``variants`` override its own.

    ``baseline`` names the weights that a published model is compared with.

    A selection of variants always keeps the baseline, because every comparison needs it.

    Raises:
        PlanError: no such file, no valid YAML, or a wrong key or value, with its key path.
    """
    path = plan_path(name_or_path)
    try:
        content = parse_plan(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise PlanError(f"{path}: a plan is a mapping of keys, see {PLANS_DIR / 'cpu-demo.yaml'}")
    return make_plan(content, path, model=model, variants=variants, baseline=baseline)


def make_plan(
    given: Mapping[str, Any],
    path: Path,
    *,
    model: str | None = None,
    variants: str | None = None,
    baseline: str | None = None,
) -> Plan:
    """Check a plan's content, which is that of ``path``, with overrides as ``load_plan`` has them.

    Raises:
        PlanError: a wrong key or value, with its key path.
    """
    content = {**given, **({"model": model} if model else {})}
    try:
        content = name_published(with_baseline(content, baseline))
        content = fit_to_model(content, replaced=bool(model))
        content = locate_files(split_limits(content), path.parent)
    except ValueError as error:
        raise PlanError(f"{path}:\n  {error}") from None
    if variants:
        chosen, own = names_of(variants), content.get("baseline")
        try:
            chosen = name_published({"model": content.get("model"), "variants": chosen})["variants"]
        except ValueError as error:
            raise PlanError(f"--variants {variants}:\n  {error}") from None
        content["variants"] = chosen if own in chosen else [own, *chosen]
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        details = without_echoes(error.errors())
        lines = "\n".join(f"  {_explain(detail, content)}" for detail in details)
        of_choice = variants and {detail["loc"][:1] for detail in details} == {("variants",)}
        raise PlanError(f"{f'--variants {variants}' if of_choice else path}:\n{lines}") from None


def _explain(detail: Any, content: Mapping[str, Any]) -> str:
    """One pydantic error as ``key.path: what is wrong``, with the nearest valid key."""
    location = [str(part) for part in detail["loc"]]
    key_path = ".".join(location) or "plan"
    if detail["type"] != "extra_forbidden":
        message = words_of(detail)
        given = (
            "" if detail["type"] in {"missing", "value_error"} else f" (got {detail['input']!r})"
        )
        return message if key_path == "plan" else f"{key_path}: {message}{given}"
    valid = list(_section_at(location[:-1], content).model_fields)
    near = get_close_matches(location[-1], valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{key_path}: unknown key{hint} (valid: {', '.join(valid)})"


def _section_at(location: Sequence[str], content: Mapping[str, Any]) -> type[BaseModel]:
    """The class of the part of a plan in which a key stands."""
    section: type[BaseModel] = Plan
    given: Any = content
    for place, part in enumerate(location):
        if isinstance(given, list | tuple):
            given = given[int(part)]
        else:
            given = given.get(part) if isinstance(given, Mapping) else None
        if location[0] == "limits":
            section = Limits
        elif part == "load" or (location[0] == "stress" and place == 1):
            section = load_section(given)
        elif issubclass(section, Load):
            section = DISTRIBUTIONS[given["distribution"]]
        elif part != "stress":
            section = section.model_fields[part].annotation  # type: ignore[assignment]
    return section
