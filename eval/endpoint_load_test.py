"""``assay loadtest --url``: probe an endpoint, load it, and write what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.client_key import client_key
from deploy.plan_load import ClosedLoopLoad, Load
from deploy.plan_sections import Slo
from eval.report.endpoint_page import EndpointRun, write_endpoint_page
from loadtest.any_endpoint.endpoint_load import TIMEOUT_S, Asked, load_endpoint, run_folder
from loadtest.any_endpoint.probe import Probe
from loadtest.dialect import Api
from loadtest.other_tools.side_by_side import rows_of_ours, table
from loadtest.power import POWER, USUAL_NOISE, detectable_share
from loadtest.prompts import PromptError
from loadtest.run_directory import RESULTS_DIR, in_place_of
from loadtest.slo_check import missed_in
from loadtest.texts import exact_texts, new_mark, plain_texts
from quantize.calibration.calibration_set import GENERAL_TEXT, read_texts

# More than this is a slip of the finger, or the business of a plan.
MOST_STREAMS, MOST_ROUNDS, MOST_SECONDS = 10_000, 1_000, 14_400
MOST_PROMPT_TOKENS, MOST_OUTPUT_TOKENS = 1_000_000, 100_000


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
    timeout_s: float = TIMEOUT_S


def read_load(
    streams: str, *, prompt_tokens: int, output_tokens: int, seconds: float, rounds: int
) -> Load:
    """A closed loop of so many streams, as ``1,4,16``.

    Raises:
        ValueError: they are no numbers from 1, one stands twice, or more is asked than can be
            meant.
    """
    counts = streams.replace(" ", "").split(",")
    if not all(count.isdigit() and int(count) for count in counts) or len({*counts}) < len(counts):
        raise ValueError(f"--streams: {streams!r} is no list of different numbers, as 1,4,16")
    _refuse_beyond("--streams", max(map(int, counts)), MOST_STREAMS)
    _refuse_beyond("--prompt-tokens", prompt_tokens, MOST_PROMPT_TOKENS)
    _refuse_beyond("--output-tokens", output_tokens, MOST_OUTPUT_TOKENS)
    _refuse_beyond("--seconds", seconds, MOST_SECONDS)
    _refuse_beyond("--rounds", rounds, MOST_ROUNDS)
    return ClosedLoopLoad(
        concurrencies=tuple(map(int, counts)),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        duration_s=seconds,
        rounds=rounds,
    )


def _refuse_beyond(option: str, value: float, most: float) -> None:
    if not value <= most:
        raise ValueError(f"{option}: {value:,} is too much, {most:,} is the most")


def budget_words(load: Load) -> str:
    """How long a load takes at least, and what difference two such load tests tell at best.

    Their rounds lie apart, so they differ by no less than paired ones.
    """
    turns = load.rounds * len(load.amounts)
    minutes = turns * (load.warmup_s + load.duration_s) / 60
    time = f"at least {minutes:.1f} min"
    if load.rounds < 2:
        return f"1 round tells no difference between endpoints: give --rounds; {time}"
    return (
        f"{load.rounds} rounds tell a difference between endpoints of "
        f"{100 * detectable_share(USUAL_NOISE, load.rounds):.1f} % in throughput at best, with "
        f"{100 * POWER:.0f} % probability (noise of rounds {100 * USUAL_NOISE:.1f} %, assumed); "
        f"{time}"
    )


def _refuse_no_tokenizer(folder: Path | None) -> None:
    if folder is not None and not (folder / "tokenizer.json").is_file():
        raise PromptError(f"--tokenizer: {folder} holds no tokenizer.json: name a model's folder")


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
    _refuse_no_tokenizer(question.tokenizer)
    key = question.key or client_key()
    found = Probe(question.url, key).find(question.model, question.api)
    for remark in (found.dialect.words, *found.remarks):
        say(remark)
    say(budget_words(question.load))
    texts, length, mark = read_texts(GENERAL_TEXT), question.load.prompt_tokens.most, new_mark()
    folder = run_folder(results, question.url, found.dialect.model, question.load)
    with in_place_of(folder) as new:
        asked = Asked(
            url=question.url.rstrip("/"),
            key=key,
            found=found,
            load=question.load,
            texts=exact_texts(texts, length, question.tokenizer, mark)
            if question.tokenizer
            else plain_texts(texts, length, mark),
            folder=new,
            timeout_s=question.timeout_s,
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
    say(f"report: {folder / page.name}")
    return short
