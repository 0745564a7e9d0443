"""The tables of recipes are consistent, and every recipe has its method.

covers: quantize/methods.py, quantize/recipes/gguf_recipes.py, quantize/recipes/gptq_recipes.py,
quantize/recipes/modelopt_recipes.py, quantize/recipes/recipe.py
"""

import pytest

from quantize.methods import METHODS
from quantize.recipes.catalogue import RECIPES, Recipe, find_recipe, with_sources
from quantize.sizing.estimate import SECONDS_PER_MILLION, SECONDS_PER_MILLION_ON_GPU


def test_an_unknown_name_is_refused_with_the_nearest_and_all_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'gguf-q4_k_m'.*valid: bf16, gptq"):
        find_recipe("gguf-q4_k_n")


def test_a_recipe_comes_after_the_one_it_reads() -> None:
    assert [recipe.name for recipe in with_sources(["gguf-q8_0", "bf16"])] == [
        "gguf-bf16",
        "gguf-q8_0",
        "bf16",
    ]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_is_consistent(recipe: Recipe) -> None:
    low, high = recipe.effective_bits
    assert recipe.bits <= low <= high
    assert recipe.method in METHODS
    assert recipe.method in SECONDS_PER_MILLION
    assert recipe.method in SECONDS_PER_MILLION_ON_GPU
    assert recipe.source is None or RECIPES[recipe.source].weight_format == recipe.weight_format
