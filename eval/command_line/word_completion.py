"""What the shell may complete an option's value with: the names of our tables.

Each table is imported when it is asked for, as everywhere in this folder.
"""

from collections.abc import Iterable


def plan_names(incomplete: str) -> list[str]:
    """The bundled plans (a file's path is completed by the shell)."""
    from deploy.plan import PLANS_DIR

    return _beginning(incomplete, sorted(path.stem for path in PLANS_DIR.glob("*.yaml")))


def engine_names(incomplete: str) -> list[str]:
    """The engines."""
    from services.engines.table import ENGINES

    return _beginning(incomplete, ENGINES)


def variant_lists(incomplete: str) -> list[str]:
    """The last of several variants, separated by commas."""
    from services.variants import VARIANTS

    return _last_of_list(incomplete, VARIANTS)


def recipe_lists(incomplete: str) -> list[str]:
    """The last of several recipes, separated by commas."""
    from quantize.recipes.catalogue import RECIPES

    return _last_of_list(incomplete, RECIPES)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _last_of_list(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    return [f"{before}{comma}{name}" for name in _beginning(last, names) if name not in taken]
