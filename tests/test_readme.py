"""README is true: what it tells to type exists, and what it links to is there.

covers: README.md, RESULTS.md
"""

import re
import shlex

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from deploy.plan import load_plan
from eval.command_line.commands import BENCHES
from eval.command_line.typer_app import make_app
from quantize.recipes.catalogue import find_recipe
from quantize.root import ROOT
from tests.rooms import ROOMS

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "RESULTS.md")}
TEXT = "\n".join(PAGES.values())
COMMANDS = sorted(set(re.findall(r"(?:^|`)\./assay([^`#\n]*)", TEXT, re.MULTILINE)))
TARGETS = sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)))
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT)))
PATHS = sorted(
    set(re.findall(r"`((?:deploy|tests|quantize|services|loadtest|eval)/[\w/.-]*)`", TEXT))
)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_and_its_options_exist(line: str) -> None:
    words = [word for word in shlex.split(line) if word not in {"--help", "--install-completion"}]
    if not words:
        return
    root = get_command(make_app())
    assert isinstance(root, TyperGroup)
    command = root.commands[words[0]]
    if words[0] == "bench":
        assert words[1] in BENCHES
    else:
        context = command.make_context(words[0], words[1:])
        check_values(context.params)


def check_values(given: dict[str, str]) -> None:
    """What an option names must be there, but for the reader's own files."""
    for recipe in filter(None, given.get("recipes", "").split(",")):
        find_recipe(recipe)
    if variants := given.get("variants"):
        load_plan("cpu-demo", variants=variants)
    if (plan := given.get("plan")) and not plan.startswith("my-"):
        load_plan(plan)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_of_make_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", [*LINKS, *PATHS])
def test_a_file_or_folder_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_rooms_is_the_list_of_rooms() -> None:
    rows = re.findall(
        r"^\| (?:\*\*)?`([\w/]+)/`(?:\*\*)? \| (.+) \|$", PAGES["README.md"], re.MULTILINE
    )
    assert {room: phrase for room, phrase in rows if room != "tests"} == ROOMS


def test_the_pages_are_read_at_all() -> None:
    assert len(COMMANDS) > 20
    assert {"compare", "test"} <= set(TARGETS)
    assert "RESULTS.md" in LINKS
