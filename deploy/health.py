"""What the running service says of itself, and how the terminal shows it."""

from collections.abc import Mapping
from typing import Any

import httpx

from deploy.client_key import CLIENT_VARIABLE, client_headers
from services.engine.life_cycle import State
from services.engines.kernels import Kernels

TIMEOUT_S = 15.0
_AT_REST = frozenset({State.ASLEEP, State.WAKING, State.LEAVING})


def health(url: str) -> dict[str, dict[str, Any]]:
    """Every variant's own description, by name; empty while the gateway does not answer."""
    try:
        # The proxy of the user's shell is not to be asked for what runs on this machine.
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            content = client.get(f"{url}/healthz", headers=client_headers()).json()
    except (httpx.HTTPError, ValueError):
        return {}
    variants = content.get("variants") if isinstance(content, dict) else None
    return variants if isinstance(variants, dict) else {}


def is_up(state: Mapping[str, Any]) -> bool:
    """Whether a variant was proven and takes requests, awake or not."""
    if state["state"] == State.READY:
        return True
    return state["state"] in _AT_REST and state.get("start_s") is not None


def table(url: str, variants: dict[str, dict[str, Any]], *, nodes: bool = False) -> str:
    """Variants with their state, endpoint, weights and memory, as a plain table.

    ``agreement`` is with what transformers computes: mean and worst difference of a token. Below
    it, on which kernels they run, and why those that are not ready are not. ``nodes`` adds where
    each one runs.
    """
    sizes = ("bits", "weights MB", "memory MB")
    header = ("variant", "state", "restarts", "endpoint", *sizes, "agreement")
    rows = [(*header, "node") if nodes else header]
    for name, state in variants.items():
        rows.append(
            (
                name,
                state["state"],
                _number(state.get("restarts"), 1, 0),
                f"{url}/{name}/v1",
                _number(state.get("bits_per_weight"), 1, 2),
                _number(state.get("held_weight_bytes"), 1e6, 1),
                _number(state.get("memory_bytes"), 1e6, 0),
                _agreement(state.get("agreement")),
                *([state.get("node") or "–"] if nodes else []),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    emulated = [name for name, state in variants.items() if state.get("emulated")]
    if emulated:
        lines.append(f"emulated, quality counts, speed does not: {', '.join(emulated)}")
    lines += [
        f"{name} is held against nothing: {'; '.join(found['reasons'])}"
        for name, state in variants.items()
        if (found := state.get("agreement")) and found["state"] == "not held"
    ]
    lines += [line for name, state in variants.items() for line in _kernels(name, state)]
    lines += [
        f"{name} is {state['state']}: {state['waiting']} requests wait for it"
        for name, state in variants.items()
        if state.get("waiting")
    ]
    reasons = {name: state.get("reason") for name, state in variants.items()}
    lines += [f"{name} is {variants[name]['state']}: {why}" for name, why in reasons.items() if why]
    if any(
        state["state"] == State.READY and "restarts" not in state for state in variants.values()
    ):
        lines.append(
            f"without its key the service tells states alone: give it in {CLIENT_VARIABLE}"
        )
    return "\n".join(lines)


def _kernels(name: str, state: dict[str, Any]) -> list[str]:
    """What a variant computes on, and what must be said of it; nothing where it does not tell."""
    if not state.get("kernels"):
        return []
    kernels = Kernels.model_validate(state["kernels"])
    remarks = [f"{name}: mind: {remark}" for remark in kernels.remarks]
    return [f"{name} runs on {kernels.phrase}", *remarks]


def _agreement(found: dict[str, Any] | None) -> str:
    """``agrees, 0.007 nats (worst 0.16)``."""
    if found is None:
        return "–"
    if found["mean_nats"] is None:
        return str(found["state"])
    return f"{found['state']}, {found['mean_nats']:.3f} nats (worst {found['worst_nats']:.2f})"


def _number(value: float | None, unit: float, digits: int) -> str:
    return "–" if value is None else f"{value / unit:.{digits}f}"
