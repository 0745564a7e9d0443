import pytest
import yaml

from deploy.plan_text import parse_plan


@pytest.mark.parametrize(
    "text", ["load:\n  rounds: 2\nname: mine\nload:\n  seed: 1\n", "load: {rounds: 2, rounds: 3}"]
)
def test_a_key_that_stands_twice_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(
        yaml.YAMLError, match=r"'(load|rounds)' stands twice; keep one(.|\n)*line \d"
    ):
        parse_plan(text)


def test_the_same_key_may_stand_in_two_sections_and_over_what_is_merged() -> None:
    text = "a: &a {seed: 1, rounds: 2}\nb: {<<: *a, seed: 3}\n"
    assert parse_plan(text) == {"a": {"seed": 1, "rounds": 2}, "b": {"seed": 3, "rounds": 2}}
