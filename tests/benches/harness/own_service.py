"""A service of a benchmark's own: deployed for it on a free port, taken down with it.

The benchmark owns the host process (``quantize.jobs.lifeline``), so nothing stays however it ends.
It stands beside any other service of the checkout when ``ASSAY_RUN_DIR`` names a directory of its
own, as ``assay bench`` does (``eval/command_line/bench_command.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from deploy.api_keys import forget_keys
from deploy.make_artifacts import make_artifacts
from deploy.plan import Plan, load_plan, plan_path
from deploy.service import RUN_DIR, ServiceRecord, read_record, stop
from deploy.up import up
from quantize.jobs.lock import hold
from quantize.jobs.whole_file import write_whole
from services.engine.child import free_port


@dataclass(frozen=True, kw_only=True)
class OwnService:
    """What runs: the plan as it is served, and the record that names its processes."""

    plan: Plan
    record: ServiceRecord

    @property
    def url(self) -> str:
        """The root of the service, without a path."""
        return self.plan.serving.url


def own_plan(name_or_path: str, variants: Sequence[str] | None, port: int) -> Plan:
    """A plan on another port, kept as a file for the host process; ``variants`` None: all.

    It listens on loopback without keys, whatever the plan and the user's environment say: a
    benchmark's clients send none.

    Raises:
        PlanError: there is no such plan, or it cannot be used.
    """
    content = yaml.safe_load(plan_path(name_or_path).read_text())
    serving = {**(content.get("serving") or {}), "host": "127.0.0.1", "port": port}
    serving.pop("api_keys_file", None)
    content["serving"] = serving
    if variants is not None:
        content |= {"variants": list(variants), "baseline": variants[0]}
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    write_whole(RUN_DIR / "plan.yaml", yaml.safe_dump(content, sort_keys=False))
    plan = load_plan(str(RUN_DIR / "plan.yaml"))
    forget_keys(plan.serving)
    return plan


@contextmanager
def own_service(
    name_or_path: str, command: str, say: Callable[[str], None], variants: Sequence[str] | None
) -> Iterator[OwnService]:
    """Make what is missing, serve the plan until the block ends; ``command`` tells others whose.

    Raises:
        DeployError: a variant failed, or another service holds this run directory.
        ValueError, ToolError, RecipeError: an artifact could not be made.
    """
    with hold(RUN_DIR, command):
        plan = own_plan(name_or_path, variants, free_port())
        make_artifacts(plan, say)
        say(f"{len(plan.variants)} variants at {plan.serving.url}")
        options = ["--plan", str(RUN_DIR / "plan.yaml")]
        up(plan, options, say, owned=True, needed=plan.variants)
        record = read_record()
        assert record is not None
        try:
            yield OwnService(plan=plan, record=record)
        finally:
            stop(record)
