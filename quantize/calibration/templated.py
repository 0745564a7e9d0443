"""Documents whose frame is fixed and whose content is drawn: sums, records, tool calls, letters.

They add what authored text has too little of, numbers and structure, and stay the smaller part:
calibration wants the statistics of natural text.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

Row = dict[str, Any]

_NAMES = (
    *("Amara", "Noor", "Tomasz", "Ines", "Kofi", "Yuki", "Leonie", "Pavel"),
    *("Rosa", "Dmitri", "Salma", "Henrik", "Mei", "Diego", "Freya", "Tunde"),
)
_PLACES = (
    *("Lisbon", "Tromsø", "Accra", "Kraków", "Osaka", "Valparaíso"),
    *("Leeds", "Izmir", "Montréal", "Hanoi", "Graz", "Nairobi"),
)
_GOODS = (
    ("a crate of oranges", "crates of oranges"),
    ("a bag of cement", "bags of cement"),
    ("a roll of wallpaper", "rolls of wallpaper"),
    ("a notebook", "notebooks"),
    ("a pot of paint", "pots of paint"),
    ("a train ticket", "train tickets"),
)
_ADJECTIVES = (
    *("quiet", "rusty", "generous", "narrow", "second-hand"),
    *("bright", "heavy", "borrowed", "northern", "folding"),
)
_NOUNS = (
    *("ladder", "kettle", "bicycle", "window", "drawer"),
    *("lantern", "suitcase", "umbrella", "bench", "compass"),
)


def shopping(rng: Random) -> Row:
    """A price worked out in steps."""
    one, many = rng.choice(_GOODS)
    count, price, paid_extra = rng.randint(3, 19), rng.randint(2, 48), rng.randint(1, 20)
    total = count * price
    paid = total + paid_extra
    name = rng.choice(_NAMES)
    question = (
        f"{name} buys {count} {many}. {one.capitalize()} costs {price} euros, and {name} pays with "
        f"{paid} euros. How much change is there?"
    )
    answer = (
        f"{count} {many} cost {count} × {price} = {total} euros. From {paid} euros that leaves "
        f"{paid} − {total} = {paid_extra} euros of change."
    )
    return _asked("sums", question, answer)


def journey(rng: Random) -> Row:
    """An arrival time worked out in steps."""
    start, end = rng.sample(_PLACES, 2)
    hour, minute = rng.randint(5, 12), rng.choice((0, 5, 10, 15, 20, 35, 40, 50))
    hours, minutes = rng.randint(1, 8), rng.randint(1, 59)
    arrival = (hour + hours) * 60 + minute + minutes
    question = (
        f"A coach leaves {start} at {hour:02d}:{minute:02d} and needs {hours} h {minutes} min to "
        f"{end}. When does it arrive, if both clocks show the same time?"
    )
    answer = (
        f"{hours} hours after {hour:02d}:{minute:02d} it is {hour + hours:02d}:{minute:02d}. "
        f"Another {minutes} minutes make it {arrival // 60:02d}:{arrival % 60:02d}."
    )
    return _asked("sums", question, answer)


def percentage(rng: Random) -> Row:
    """A share of a number."""
    share, base = rng.choice((5, 8, 12, 15, 20, 25, 30, 40)), rng.randrange(100, 2400, 20)
    part = share * base / 100
    thing = f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    question = f"The price of the {thing} falls by {share} % from {base}. What does it cost now?"
    answer = (
        f"{share} % of {base} is {base} × {share} / 100 = {part:g}. The new price is "
        f"{base} − {part:g} = {base - part:g}."
    )
    return _asked("sums", question, answer)


def record(rng: Random) -> Row:
    """A JSON object as services exchange them."""
    fields = {
        "id": f"{rng.choice('ABCDEFG')}-{rng.randint(1000, 99999)}",
        "name": f"{rng.choice(_NAMES)} {rng.choice(_PLACES)}",
        "active": rng.random() < 0.6,
        "score": round(rng.uniform(0, 100), rng.choice((0, 1, 3))),
        "tags": rng.sample(_ADJECTIVES, rng.randint(0, 3)),
        "updated": f"20{rng.randint(18, 26)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        "position": {
            "lat": round(rng.uniform(-60, 70), 4),
            "lon": round(rng.uniform(-180, 180), 4),
        },
        "parent": rng.choice((None, f"{rng.choice('ABCDEFG')}-{rng.randint(1000, 99999)}")),
    }
    kept = rng.sample(sorted(fields), rng.randint(4, 8))
    rows = [{key: fields[key] for key in kept}]
    text = json.dumps(rows[0], ensure_ascii=False, indent=rng.choice((None, 2)))
    return {"kind": "records", "text": text}


def table(rng: Random) -> Row:
    """A CSV file of a few lines."""
    columns = ["item", "place", *rng.sample(["count", "weight_kg", "price", "year"], 3)]
    lines = [",".join(columns)]
    for _ in range(rng.randint(4, 9)):
        row = [f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}", rng.choice(_PLACES)]
        for column in columns[2:]:
            value = rng.randint(1960, 2026) if column == "year" else round(rng.uniform(1, 90), 1)
            row.append(str(round(value) if column == "count" else value))
        lines.append(",".join(row))
    return {"kind": "records", "text": "\n".join(lines)}


def tool_call(rng: Random) -> Row:
    """A chat in which the model calls a function and tells its result."""
    name, place = rng.choice(_NAMES), rng.choice(_PLACES)
    thing = f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    count, days = rng.randint(1, 40), rng.randint(2, 14)
    tool = {
        "type": "function",
        "function": {
            "name": "stock",
            "description": "How many of an item lie in a warehouse",
            "parameters": {
                "type": "object",
                "properties": {"item": {"type": "string"}, "warehouse": {"type": "string"}},
                "required": ["item", "warehouse"],
            },
        },
    }
    call = {"name": "stock", "arguments": {"item": thing, "warehouse": place}}
    found = {"item": thing, "warehouse": place, "count": count, "next_delivery_days": days}
    return {
        "kind": "tools",
        "tools": [tool],
        "messages": [
            {"role": "user", "content": f"{name} wants a {thing}. Is there one in {place}?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"type": "function", "function": call}],
            },
            {"role": "tool", "name": "stock", "content": json.dumps(found)},
            {
                "role": "assistant",
                "content": f"Yes, {count} of them are in {place}, and more come in {days} days. "
                f"Shall I put one aside for {name}?",
            },
        ],
    }


WRITERS: tuple[tuple[Callable[[Random], Row], int], ...] = (
    (shopping, 18),
    (journey, 15),
    (percentage, 18),
    (record, 26),
    (table, 12),
    (tool_call, 12),
)
"""What is drawn, and how many documents of each."""


def _asked(kind: str, question: str, answer: str) -> Row:
    return {
        "kind": kind,
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
    }


def templated_rows(seed: str) -> list[Row]:
    """All documents, the same for the same seed."""
    return [
        writer(Random(f"{seed}:{writer.__name__}:{index}"))
        for writer, count in WRITERS
        for index in range(count)
    ]
