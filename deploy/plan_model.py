"""What a plan asks where it says nothing, by its model; and what it cannot ask of this one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.calibration.calibration_set import BUNDLED, TEXTS
from quantize.calibration.default_text import default_text
from quantize.source.source_model import REFERENCE

WORLD_TASKS = ("assay_text", "assay_choice", "assay_words")
# The keys of a plan that name a file or a folder.
FILES = (("calibration", "text"), ("quality", "include_path"), ("load", "text"), ("load", "trace"))
GENERAL_TASKS = (
    "assay_general_text",
    "assay_general_choice",
    "assay_general_long",
    "assay_general_arithmetic",
    "assay_general_instructions",
    "assay_general_tools",
    "assay_general_retrieval",
)


def fit_to_model(content: Mapping[str, Any], *, replaced: bool) -> dict[str, Any]:
    """A plan's content with the defaults that fit its model.

    The bundled model was trained on an invented world: its tasks and its calibration text say
    nothing of any other model, which gets the general ones. ``replaced`` tells that the model
    stands in for the plan's own: then what the plan chose for the bundled one is replaced too.

    Raises:
        ValueError: a plan for another model names tasks of the bundled model's world.
    """
    model = content.get("model", REFERENCE)
    quality, calibration = content.get("quality") or {}, content.get("calibration") or {}
    sections = isinstance(quality, dict) and isinstance(calibration, dict)
    if not isinstance(model, str) or not sections or default_text(model) == BUNDLED:
        return dict(content)
    tasks = quality.get("tasks")
    world = [task for task in WORLD_TASKS if isinstance(tasks, list) and task in tasks]
    if world and not replaced:
        raise ValueError(
            f"quality.tasks: {', '.join(world)} ask about the invented world of the bundled model "
            f"and prove nothing of {model}; leave quality.tasks out for "
            f"{', '.join(GENERAL_TASKS)}, or name lm-eval's or your own"
        )
    if tasks is None or world:
        others = [task for task in tasks or () if task not in world]
        quality = {**quality, "tasks": [*GENERAL_TASKS, *others]}
    text = calibration.get("text")
    if text is None or (replaced and text == BUNDLED):
        calibration = {**calibration, "text": default_text(model)}
    return {**content, "quality": quality, "calibration": calibration}


def locate_files(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A plan's content with the paths of its files made absolute.

    A path is looked for where the command was given, then beside the plan.

    Raises:
        ValueError: a folder of tasks, or a file of the load, is not there.
    """
    found = dict(content)
    for section, key in FILES:
        own = found.get(section)
        if not isinstance(own, dict):
            continue
        value = own.get(key)
        if isinstance(value, str) and value not in TEXTS:
            path = _located(value, folder)
            if key == "include_path" and not path.is_dir():
                raise ValueError(f"quality.include_path: no folder {value!r}")
            if section == "load" and not path.is_file():
                raise ValueError(f"load.{key}: no file {value!r}")
            found[section] = {**own, key: str(path)}
    stress = found.get("stress")
    if isinstance(stress, list):
        found["stress"] = [_with_trace(it, folder) for it in stress]
    return found


def _with_trace(load: Any, folder: Path) -> Any:
    trace = load.get("trace") if isinstance(load, dict) else None
    if not isinstance(trace, str):
        return load
    path = _located(trace, folder)
    if not path.is_file():
        raise ValueError(f"stress: no trace {trace!r}")
    return {**load, "trace": str(path)}


def _located(value: str, folder: Path) -> Path:
    path = Path(value).expanduser()
    for candidate in (path, folder / path):
        if candidate.exists():
            return candidate.absolute()
    return path
