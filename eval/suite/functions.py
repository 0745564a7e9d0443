"""Functions that a model is offered to call: name, schema of the arguments, how one is asked for.

Each row draws its arguments and words them as a person would, so the right call is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from eval.suite.tables import column, names

Schema = dict[str, Any]
Arguments = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Function:
    """``ask`` draws arguments and the request that means them."""

    name: str
    about: str
    parameters: Mapping[str, Schema]
    ask: Callable[[Random], tuple[str, Arguments]]

    @property
    def schema(self) -> Schema:
        """JSON schema of the arguments: all are required, and no others allowed."""
        return {
            "type": "object",
            "properties": dict(self.parameters),
            "required": list(self.parameters),
            "additionalProperties": False,
        }


_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 1}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = ("celsius", "fahrenheit")
_SIZES = ("small", "medium", "large")


def _choice_of(values: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(values)}


def _city(rng: Random) -> str:
    return rng.choice(column("countries", "capital"))


def _weather(rng: Random) -> tuple[str, Arguments]:
    city, unit = _city(rng), rng.choice(_UNITS)
    return f"How warm is it in {city}, in {unit}?", {"city": city, "unit": unit}


def _alarm(rng: Random) -> tuple[str, Arguments]:
    hour, minute = rng.randint(5, 22), rng.choice((0, 5, 15, 30, 45))
    text = f"Wake me at {hour:02}:{minute:02}, please."
    return text, {"hour": hour, "minute": minute}


def _message(rng: Random) -> tuple[str, Arguments]:
    (who,) = names(rng, 1)
    text = rng.choice(("I am late", "the meeting is cancelled", "dinner is ready", "call me back"))
    return f'Send {who} this message: "{text}"', {"recipient": who, "text": text}


def _exchange(rng: Random) -> tuple[str, Arguments]:
    one, other = rng.sample(("EUR", "USD", "GBP", "JPY", "CHF", "SEK"), 2)
    amount = rng.randint(2, 90) * 10
    text = f"How much is {amount} {one} in {other}?"
    return text, {"amount": amount, "from": one, "to": other}


def _table(rng: Random) -> tuple[str, Arguments]:
    people, day, hour = rng.randint(2, 9), rng.choice(_DAYS), rng.randint(17, 21)
    text = f"Book a table for {people} people on {day.capitalize()} at {hour} o'clock."
    return text, {"people": people, "day": day, "hour": hour}


def _order(rng: Random) -> tuple[str, Arguments]:
    thing, count = rng.choice(column("things", "many")), rng.randint(2, 40)
    return f"Order {count} {thing} for me.", {"item": thing, "quantity": count}


def _train(rng: Random) -> tuple[str, Arguments]:
    start, end = rng.sample(column("countries", "capital"), 2)
    day, seats = rng.choice(_DAYS), rng.randint(1, 5)
    text = f"I need {seats} train tickets from {start} to {end} on {day.capitalize()}."
    return text, {"origin": start, "destination": end, "day": day, "seats": seats}


def _coffee(rng: Random) -> tuple[str, Arguments]:
    size, sugar = rng.choice(_SIZES), rng.random() < 0.5
    text = f"A {size} coffee {'with' if sugar else 'without'} sugar, please."
    return text, {"size": size, "sugar": sugar}


def _invite(rng: Random) -> tuple[str, Arguments]:
    found, day = names(rng, rng.randint(2, 4)), rng.choice(_DAYS)
    told = f"{', '.join(found[:-1])} and {found[-1]}"
    return f"Invite {told} for {day.capitalize()}.", {"people": found, "day": day}


def _lamp(rng: Random) -> tuple[str, Arguments]:
    room = rng.choice(("kitchen", "bedroom", "cellar", "hall"))
    share = rng.randint(1, 10) * 10
    text = f"Set the light in the {room} to {share} percent."
    return text, {"room": room, "brightness": share}


FUNCTIONS = (
    Function(
        name="get_temperature",
        about="The temperature outside in a city.",
        parameters={"city": _TEXT, "unit": _choice_of(_UNITS)},
        ask=_weather,
    ),
    Function(
        name="set_alarm",
        about="Sets an alarm for today.",
        parameters={
            "hour": {"type": "integer", "minimum": 0, "maximum": 23},
            "minute": {"type": "integer", "minimum": 0, "maximum": 59},
        },
        ask=_alarm,
    ),
    Function(
        name="send_message",
        about="Sends a text message to a person.",
        parameters={"recipient": _TEXT, "text": _TEXT},
        ask=_message,
    ),
    Function(
        name="convert_currency",
        about="Converts money, currencies by their three letters.",
        parameters={"amount": {"type": "number"}, "from": _TEXT, "to": _TEXT},
        ask=_exchange,
    ),
    Function(
        name="book_table",
        about="Books a table in the restaurant; hour of 24.",
        parameters={"people": _WHOLE, "day": _choice_of(_DAYS), "hour": _WHOLE},
        ask=_table,
    ),
    Function(
        name="order_item",
        about="Orders a number of things from the shop.",
        parameters={"item": _TEXT, "quantity": _WHOLE},
        ask=_order,
    ),
    Function(
        name="buy_train_tickets",
        about="Buys train tickets between two cities.",
        parameters={
            "origin": _TEXT, "destination": _TEXT, "day": _choice_of(_DAYS), "seats": _WHOLE,
        },
        ask=_train,
    ),
    Function(
        name="make_coffee",
        about="Makes a coffee.",
        parameters={"size": _choice_of(_SIZES), "sugar": {"type": "boolean"}},
        ask=_coffee,
    ),
    Function(
        name="invite_people",
        about="Invites people by their names.",
        parameters={
            "people": {"type": "array", "items": _TEXT, "minItems": 1}, "day": _choice_of(_DAYS),
        },
        ask=_invite,
    ),
    Function(
        name="set_brightness",
        about="Sets the brightness of a room's light in percent.",
        parameters={"room": _TEXT, "brightness": {"type": "integer", "maximum": 100}},
        ask=_lamp,
    ),
)  # fmt: skip
