"""What a user chooses: a plan, and what stands in for its model and its variants."""

from dataclasses import dataclass

from deploy.api_keys import provide_client_key
from deploy.plan import DEFAULT_PLAN, Plan, load_plan


@dataclass(frozen=True, kw_only=True)
class PlanChoice:
    """A plan's file or bundled name, another model than its own, only some of its variants."""

    plan: str | None = None
    model: str | None = None
    variants: str | None = None

    def load(self) -> Plan:
        """The plan; from here on this process has a key to send, where there is one.

        Raises:
            PlanError: with the file, the key path and the remedy.
            ApiKeyError: its endpoints need keys and have none, or they cannot be used.
        """
        plan = load_plan(self.plan or DEFAULT_PLAN, model=self.model, variants=self.variants)
        provide_client_key(plan.serving)
        return plan

    def words(self, plan: Plan) -> list[str]:
        """The options that choose the same again, with the variants of ``plan``."""
        given = {
            "--plan": self.plan,
            "--model": self.model,
            "--variants": ",".join(plan.variants),
        }
        return [word for option, value in given.items() if value for word in (option, value)]
