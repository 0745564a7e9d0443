"""``assay loadtest --url``: probe an endpoint, load it, and write what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.client_key import client_key
from deploy.plan_load import ClosedLoopLoad, Load
from deploy.plan_sections import Slo
from eval.report.endpoint_page import EndpointRun, write_endpoint_page
from loadtest.any_endpoint.endpoint_load import Asked, load_endpoint, run_folder
from loadtest.any_endpoint.probe import Probe
from loadtest.dialect import Api
from loadtest.other_tools.side_by_side import rows_of_ours, table
from loadtest.run_directory import RESULTS_DIR
from loadtest.slo_check import missed_in
from loadtest.texts import exact_texts, new_mark, plain_texts
from quantize.calibration.calibration_set import GENERAL_TEXT, read_texts


@dataclass(frozen=True, kw_only=True)
class EndpointQuestion:
    """What the user asked for; ``model`` and ``key`` may be empty, ``tokenizer`` a folder."""

    url: str
    model: str
    key: str
    load: Load
    api: Api | None = None
    tokenizer: Path | None = None
    slo: Slo | None = None


def read_load(
    streams: str, *, prompt_tokens: int, output_tokens: int, seconds: float, rounds: int
) -> Load:
    """A closed loop of so many streams, as ``1,4,16``.

    Raises:
        ValueError: they are no numbers from 1, or one stands twice.
    """
    counts = streams.replace(" ", "").split(",")
    if not all(count.isdigit() and int(count) for count in counts) or len({*counts}) < len(counts):
        raise ValueError(f"--streams: {streams!r} is no list of different numbers, as 1,4,16")
    return ClosedLoopLoad(
        concurrencies=tuple(map(int, counts)),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        duration_s=seconds,
        rounds=rounds,
    )


def read_api(word: str) -> Api | None:
    """Which of OpenAI's routes is asked; None: whichever is there.

    Raises:
        ValueError: it is none of them.
    """
    match word:
        case "":
            return None
        case "chat" | "completions":
            return word
    raise ValueError(f"--api: {word!r} is neither chat nor completions")


def examine_endpoint(
    question: EndpointQuestion, say: Callable[[str], None], results: Path = RESULTS_DIR
) -> list[str]:
    """Probe, load, report; returns which objectives were missed, in words.

    Raises:
        EndpointError: the endpoint cannot be measured.
        PromptError: no prompts can be made.
        LoadTestError: Locust failed, or nothing was answered.
    """
    key = question.key or client_key()
    found = Probe(question.url, key).find(question.model, question.api)
    for remark in (found.dialect.words, *found.remarks):
        say(remark)
    texts, length, mark = read_texts(GENERAL_TEXT), question.load.prompt_tokens.most, new_mark()
    asked = Asked(
        url=question.url.rstrip("/"),
        key=key,
        found=found,
        load=question.load,
        texts=exact_texts(texts, length, question.tokenizer, mark)
        if question.tokenizer
        else plain_texts(texts, length, mark),
        folder=run_folder(results, question.url, found.dialect.model, question.load),
    )
    load, certificate = load_endpoint(asked, say)
    short = missed_in(asked.folder, question.slo) if question.slo else []
    page = write_endpoint_page(
        asked.folder,
        EndpointRun(
            url=asked.url,
            dialect=found.dialect,
            load=load,
            certificate=certificate,
            remarks=found.remarks,
            missed=short,
        ),
    )
    say("\n" + table(rows_of_ours(load), found.remarks))
    for certified in certificate.after:
        say(certified.words)
    for reason in filter(None, [load.why_void, certificate.why_void]):
        say(f"VOID: {reason}")
    say(f"report: {page}")
    return short
