"""The page says what the files say, and survives whatever is missing or hostile.

covers: eval/report/bars.py, eval/report/decision.py, eval/report/details.py,
eval/report/forest.py, eval/report/gpu_table.py, eval/report/report_inputs.py,
eval/report/method_notes.py, eval/report/report_panels.py, eval/report/server_table.py,
eval/report/tables.py, eval/report/tiles.py
"""

import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploy.plan import load_plan
from eval.explore.explorer_figures import FIGURES_NAME
from eval.report.page import write_report
from eval.report.report_inputs import ReportError
from eval.schema import ComparisonFile, Distance, VerdictFile
from eval.verdict import decide
from loadtest.intervals import Estimate
from loadtest.load_file import GpuLoad, ServerLoad
from loadtest.server_window import ServerWindow
from services.engines.table import ENGINES
from services.gpus.rates_job import DeviceRates
from tests.eval.explore.examples import figures
from tests.eval.report import builders, run_files, verdicts
from tests.services.engines.recorded_kernels import on_card

VOID = {"meta", "br", "link", "img", "input", "hr"}
ONE, THIRTY = builders.CPU_DEMO[:1], builders.thirty()
CASES = {
    "seven": (builders.comparison(), verdicts.recommended()),
    "one": (builders.comparison(ONE), verdicts.recommended(ONE)),
    "thirty": (builders.comparison(THIRTY), verdicts.recommended(THIRTY)),
    "all failing": (builders.comparison(), verdicts.all_failing()),
    "not enough evidence": (builders.comparison(), verdicts.undecided()),
}
HOSTILE = "<script>alert('x')</script>\"&{{ 7 * 7 }}"


class Reader(HTMLParser):
    """Collects data, and insists that every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data.strip())

    def values(self) -> set[float]:
        """Every exact number that a table cell carries."""
        written = (attributes.get("data-v") for _, attributes in self.elements)
        return {float(v) for v in written if v and re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", v)}


def report(
    directory: Path, found: ComparisonFile, verdict: VerdictFile, complete: bool = True
) -> str:
    return write_report(
        run_files.write_run(directory, found, verdict, complete=complete)
    ).read_text()


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_well_formed_and_names_every_variant(tmp_path: Path, case: str) -> None:
    found, verdict = CASES[case]
    page = report(tmp_path, found, verdict)
    reader = Reader(page)
    for variant in found.variants:
        assert variant.variant in reader.words
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) > 10
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("aria-hidden") or (
            root.get("aria-label") and root.find("title") is not None
        )
    identifiers = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert "nan" not in reader.words
    assert ">None<" not in page


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_stands_in_words(tmp_path: Path, case: str) -> None:
    found, verdict = CASES[case]
    page = report(tmp_path, found, verdict)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", page)
    assert heading
    assert unescape(re.sub("</?em>", "", heading[1])) == verdict.sentence
    words = {
        "recommended": "Recommended",
        "none_qualifies": "No variant qualifies",
        "not_enough_evidence": "Not enough evidence",
    }
    assert f"<span>{words[verdict.outcome]}</span>" in page
    for said in (*verdict.reasons, *verdict.caveats):
        assert said.replace("'", "&#39;") in page


def test_what_the_servers_told_of_themselves_is_shown_for_every_load(tmp_path: Path) -> None:
    found = builders.comparison()
    window = ServerWindow(looks=4, running=3.5, most_running=4, kv_used=0.25, memory_bytes=3 << 30)
    server = ServerLoad(window=window, cores=1.25)
    first, *rest = found.variants
    load = [level.model_copy(update={"server": server}) for level in first.load]
    told = found.model_copy(update={"variants": [first.model_copy(update={"load": load}), *rest]})
    words = set(Reader(report(tmp_path / "told", told, verdicts.recommended())).words)
    assert {"The server in the same window", "25.0 %", "3.00 GiB", "1.25"} <= words
    without = report(tmp_path / "other", found, verdicts.recommended())
    assert "The server in the same window" not in without


def test_energy_clocks_and_gpu_memory_are_shown_for_every_load(tmp_path: Path) -> None:
    found = builders.comparison()
    gpu = GpuLoad(
        power_w=665.2,
        joules_per_output_token=Estimate(value=0.0853, low=0.084, high=0.087),
        sm_clock_mhz=1740.0,
        least_sm_clock_mhz=1410.0,
        throttled={"power cap": 0.62},
    )
    first, *rest = found.variants
    told = first.model_copy(
        update={
            "load": [level.model_copy(update={"gpu": gpu}) for level in first.load],
            "gpus": {"GPU-a": "NVIDIA H200"},
            "gpu_memory_bytes": 118 << 30,
            "idle_power_w": 136.0,
        }
    )
    page = Reader(
        report(
            tmp_path, found.model_copy(update={"variants": [told, *rest]}), verdicts.recommended()
        )
    )
    assert {"0.0853", "665", "136 idle", "1,740", "1,410", "118 GiB"} <= set(page.words)
    assert page.words.count("power cap 62 %") == len(first.load)
    assert "and 118 GiB of the GPU" in page.words
    assert {0.0853, 665.2} <= page.values()
    without = report(tmp_path / "other", found, verdicts.recommended())
    assert "What the GPU used" not in without


def test_the_distance_from_the_cards_limit_is_shown_with_what_was_measured_of_it(
    tmp_path: Path,
) -> None:
    found = builders.comparison()
    distance = Distance(
        decode_tok_per_s=203,
        decode_limit_tok_per_s=290,
        decode_bound="memory",
        bytes_per_token=15.0e9,
        multiplied_as="bf16",
        prefill_tok_per_s=40_000,
        prefill_limit_tok_per_s=54_300,
        prefill_bound="matrix",
    )
    first, *rest = found.variants
    alone, *others = first.load
    load = [alone.model_copy(update={"distance": distance}), *others]
    told = first.model_copy(update={"load": load})
    card = DeviceRates(
        name="NVIDIA H200",
        capability="9.0",
        torch="2.11.0",
        read_bytes_per_s=4.4e12,
        matrix_flop_per_s={"bf16": 760e12, "fp8": 1.4e15},
    )
    changed = found.model_copy(update={"variants": [told, *rest], "device": card})
    page = Reader(report(tmp_path, changed, verdicts.recommended()))
    assert {"70 %", "by memory", "of 290", "74 %", "by matrix, bf16"} <= set(page.words)
    words = " ".join(page.words)
    assert "NVIDIA H200: reads 4.40 TB/s, multiplies bf16 760 TFLOP/s, fp8 1,400 TFLOP/s" in words
    without = report(tmp_path / "other", found, verdicts.recommended())
    assert "How far from the card" not in without


def test_kernels_are_shown_with_what_must_be_said_of_them(tmp_path: Path) -> None:
    found = builders.comparison()
    kernels = on_card("9.0", "AutoAWQLinearMethod", None)
    said = kernels.model_copy(update={"remarks": ("AutoAWQLinearMethod is a slow kernel",)})
    first, second, *rest = found.variants
    told = [first.model_copy(update={"kernels": said}), second, *rest]
    words = Reader(
        report(tmp_path, found.model_copy(update={"variants": told}), verdicts.recommended())
    ).words
    assert "128 AutoAWQLinearMethod" in " ".join(words)
    assert "2 UnquantizedEmbeddingMethod (embed_tokens and lm_head)" in " ".join(words)
    assert "AutoAWQLinearMethod is a slow kernel" in words
    assert "FLASH_ATTN 3" in words
    without = Reader(report(tmp_path / "other", found, verdicts.recommended())).words
    assert "No engine of this run names its kernels." in without


def test_the_tables_carry_exactly_the_numbers_of_the_files(tmp_path: Path) -> None:
    report(tmp_path, *CASES["seven"])
    values = Reader((tmp_path / "report.html").read_text()).values()
    for variant in json.loads((tmp_path / "comparison.json").read_text())["variants"]:
        load = next(x for x in variant["load"] if x["point"] == "closed_loop:16")
        expected = [variant["weight_bytes"], variant["memory_bytes"], variant["bits_per_weight"]]
        expected += [load["output_tok_per_s"]["value"], load["requests"]]
        expected += [load["ttft_s"]["p50"]["value"], load["tpot_s"]["p50"]["value"]]
        for task in variant["quality"].values():
            expected += [task["score"]["value"], task["items"]]
            expected += list(task["flips"].values()) if task["flips"] else []
        assert set(expected) <= values


def test_nothing_is_loaded_from_outside(tmp_path: Path) -> None:
    page = report(tmp_path, *CASES["seven"])
    assert not re.search(r"https?:|@import|url\(|//[a-z]+\.", page.split("</style>")[1])
    for tag, attributes in Reader(page).elements:
        assert tag not in {"link", "img", "iframe", "object"}
        assert "src" not in attributes
        address = attributes.get("href")
        assert address is None or address[0] == "#" or (tmp_path / address).is_file()


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    sketches = [vars(sketch) for sketch in builders.CPU_DEMO[:2]]
    hostile = tuple(
        builders.Sketch(**{**sketch, "name": f"{HOSTILE}{i}", "recipe": HOSTILE, "engine": HOSTILE})
        for i, sketch in enumerate(sketches)
    )
    found = builders.comparison(hostile, model=HOSTILE)
    page = report(tmp_path, found, verdicts.recommended(hostile))
    reader = Reader(page)
    assert [tag for tag, _ in reader.elements].count("script") == 1
    assert "alert('x')" not in page.replace("&#39;", "&apos;")
    assert HOSTILE in reader.words


def test_what_was_not_measured_is_said_with_its_reason(tmp_path: Path) -> None:
    found, verdict = CASES["seven"]
    first, second, third, *others = found.variants
    changed = [
        first,
        second.model_copy(update={"load": [], "memory_bytes": None}),
        third.model_copy(
            update={"quality": {}, "refused_tasks": {"assay_choice": "no echo with logprobs"}}
        ),
        *(v.model_copy(update={"held_weight_bytes": None}) for v in others),
    ]
    page = report(tmp_path, found.model_copy(update={"variants": changed}), verdict)
    assert "no echo with logprobs" in page
    assert "the run holds no load figures" in page
    assert "not measured" in page
    Reader(page)


@pytest.mark.parametrize("chosen", ["bf16-vllm", "gguf-q8_0"])
@pytest.mark.parametrize("gap", ["load", "quality", "variants"])
def test_a_run_without_a_whole_part_is_still_reported(
    tmp_path: Path, chosen: str, gap: str
) -> None:
    found, verdict = CASES["seven"]
    emptied = [v.model_copy(update={gap: type(getattr(v, gap, []))()}) for v in found.variants]
    found = found.model_copy(update={"variants": [] if gap == "variants" else emptied})
    found = found.model_copy(update={"attribution": {}})
    page = report(tmp_path, found, verdict.model_copy(update={"variant": chosen}), complete=False)
    Reader(page)
    assert "ot measured" in page
    assert "Not recorded" in page


def test_a_saturated_load_generator_voids_the_speed(tmp_path: Path) -> None:
    found, verdict = CASES["seven"]
    void = [v.model_copy(update={"saturated_client": True}) for v in found.variants]
    page = report(tmp_path, found.model_copy(update={"variants": void}), verdict)
    assert "void: the load generator itself was the limit" in page
    assert page.count("void, see below") == len(void)
    assert "curve e0 void" in page


def test_an_emulated_engine_shows_its_quality_and_no_speed(tmp_path: Path) -> None:
    found, verdict = CASES["seven"]
    emulated = [
        v.model_copy(update={"engine": "transformers"}) if v.variant == "gguf-q4_k_m" else v
        for v in found.variants
    ]
    words = "emulated, so its speed does not count"
    assert words not in report(tmp_path / "as it was", found, verdict)
    marked = found.model_copy(update={"variants": emulated})
    assert words in report(tmp_path / "emulated", marked, verdict)


def test_unreadable_raw_files_are_named(tmp_path: Path) -> None:
    run_files.write_run(tmp_path, *CASES["seven"])
    for name in ("requests.parquet", "samples.parquet"):
        (tmp_path / "gguf-q8_0" / name).write_bytes(b"PAR1 cut short")
    page = write_report(tmp_path).read_text()
    assert "requests.parquet cannot be read" in page
    assert "samples.parquet cannot be read" in page


@pytest.mark.parametrize("sketches", [builders.CPU_DEMO, ONE, THIRTY], ids=["7", "1", "30"])
def test_the_verdict_stage_and_the_report_fit_together(
    tmp_path: Path, sketches: tuple[builders.Sketch, ...]
) -> None:
    found = builders.comparison(sketches)
    known = [v for v in found.variants if v.engine in ENGINES]
    found = found.model_copy(update={"variants": known})
    verdict = decide(found, load_plan("cpu-demo").objectives)
    page = report(tmp_path, found, verdict)
    reader = Reader(page)
    for ranked in verdict.ranking:
        for reason in (*ranked.failed, *ranked.undecided):
            assert reason.sentence in unescape(page)
        assert ranked.variant in reader.words


def test_errors_of_requests_are_counted(tmp_path: Path) -> None:
    assert "1 × 503 the replica is starting" in report(tmp_path, *CASES["seven"])


def test_a_missing_or_malformed_verdict_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    run_files.write_run(tmp_path, *CASES["seven"])
    (tmp_path / "verdict.json").write_text('{"outcome": "maybe"}')
    with pytest.raises(ReportError, match=r"verdict\.json"):
        write_report(tmp_path)
    (tmp_path / "verdict.json").unlink()
    with pytest.raises(ReportError, match="No such file"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_writing_again_replaces_the_page_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    first = report(tmp_path, *CASES["seven"])
    assert report(tmp_path, *CASES["seven"]) == first
    assert list(tmp_path.glob("*.partial")) == []


def test_the_number_formats_stand_in_the_report_where_they_were_measured(tmp_path: Path) -> None:
    assert 'id="formats"' not in report(tmp_path, *CASES["seven"])
    (tmp_path / FIGURES_NAME).write_text(figures().model_dump_json())
    page = write_report(tmp_path).read_text()
    Reader(page)
    assert 'id="formats"' in page
    assert "Most sensitive: down_proj of block 1" in page
    assert "FP4 over block size: weights" in page
    (tmp_path / FIGURES_NAME).write_text("{}")
    assert 'id="formats"' not in write_report(tmp_path).read_text()
