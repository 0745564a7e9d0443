"""What a user chooses: a plan, and what stands in for its model and its variants."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.api_keys import provide_client_key
from deploy.machine_check import installed_devices
from deploy.plan import DEFAULT_PLAN, Plan, load_plan, make_plan
from deploy.planner.rules import Situation, choose_plan
from quantize.machine import Machine, probe_machine
from quantize.name_list import names_of
from quantize.published_model import recognise, what_recipes_read
from quantize.source.model_shape import ShapeError
from quantize.source.published import Published, read_published
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import REFERENCE
from services.engines.table import ENGINES
from services.known_models import why_unknown

# What messages call the file of a plan that has none.
CHOSEN = Path("the chosen plan")
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PlanChoice:
    """A plan's file or bundled name, another model than its own, only some of its variants.

    ``only`` serves one of its variants alone, even without the baseline. ``baseline`` names the
    16-bit weights that a published quantized model is compared with.

    Without a plan, one is chosen for the machine and the model (``planner/rules.py``); that of the
    bundled model on a CPU is the bundled ``cpu-demo``.
    """

    plan: str | None = None
    model: str | None = None
    variants: str | None = None
    only: str | None = None
    baseline: str | None = None

    def load(self, tell: Tell | None = None) -> Plan:
        """The plan; from here on this process has a key to send, where there is one.

        ``tell`` gets what was chosen, and why.

        Raises:
            PlanError: with the file, the key path and the remedy.
            NoPlanError: nothing of the model can be served on this machine.
            SourceModelError: the model cannot be found or read.
            ApiKeyError: its endpoints need keys and have none, or they cannot be used.
        """
        machine = probe_machine()
        if self.plan is None and (self._model != REFERENCE or machine.device != "cpu"):
            plan = self._chosen(machine, tell)
        else:
            plan = load_plan(
                self.plan or DEFAULT_PLAN,
                model=self.model,
                variants=self.variants,
                baseline=self.baseline,
            )
        provide_client_key(plan.serving)
        return plan if self.only is None else serving_only(plan, (self.only,))

    def to_serve(self, tell: Tell | None = None) -> Plan:
        """The plan as a service runs it: of one that compares its variants one after the other,
        the one that is named is served without the baseline.

        Raises:
            As ``load``.
        """
        plan = self.load(tell)
        named = tuple(names_of(self.variants or ""))
        return serving_only(plan, named) if plan.serving.one_at_a_time and len(named) == 1 else plan

    @property
    def _model(self) -> str:
        return self.model or REFERENCE

    def _chosen(self, machine: Machine, tell: Tell | None) -> Plan:
        published = recognise(self._model)
        try:
            config, shape = what_recipes_read(self._model, published, self.baseline)
        except ShapeError as error:
            raise SourceModelError(f"{self._model}: {error}") from None
        devices = installed_devices(machine)
        chosen = choose_plan(
            Situation(
                machine=machine,
                devices=devices,
                memory_bytes=machine.memory_bytes or psutil.virtual_memory().total,
                config=config,
                shape=shape,
                published=published,
                baseline=self.baseline,
                refusals=_refusals(devices, published),
            )
        )
        if tell is not None:
            tell("\n".join(chosen.lines()))
        return make_plan({"model": self._model, **chosen.content}, CHOSEN, variants=self.variants)

    def words(self, plan: Plan) -> list[str]:
        """The options that choose the same again, with the variants of ``plan``."""
        alone = plan.baseline not in plan.variants
        given = {
            "--only": plan.variants[0] if alone else None,
            "--plan": self.plan,
            "--model": self.model,
            "--baseline": self.baseline,
            "--variants": ",".join(plan.variants),
        }
        return [word for option, value in given.items() if value for word in (option, value)]


def _refusals(engines: Iterable[str], published: Published | None) -> dict[str, str]:
    """Why engines do not serve a published checkpoint as it is, where they know."""
    if published is None or published.is_gguf:
        return {}
    config = read_published(published.path).config.content
    found = {name: why_unknown(ENGINES[name], config) for name in engines}
    return {name: why for name, why in found.items() if why is not None}


def serving_only(plan: Plan, variants: tuple[str, ...]) -> Plan:
    """A plan of the same measurements, of which only these variants are served."""
    return plan.model_copy(update={"variants": variants})
