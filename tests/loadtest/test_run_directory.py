"""What a refused or failed run leaves: nothing of its own, and what was there before."""

from pathlib import Path

import pytest

from loadtest.run_directory import in_place_of, taken_away_if_refused


@pytest.mark.parametrize(
    ("is_new", "measured", "stays"),
    [(True, False, False), (True, True, True), (False, False, True)],
)
def test_a_new_run_is_taken_away_where_nothing_was_measured(
    *, is_new: bool, measured: bool, stays: bool, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "variant" / "rounds").mkdir(parents=True)
    if measured:
        (run / "variant" / "rounds" / "0.json").write_text("{}")
    with pytest.raises(ValueError, match="no"), taken_away_if_refused(run, is_new=is_new):
        raise ValueError("no")
    assert run.exists() == stays


def test_a_new_result_takes_the_place_of_the_old_whole(tmp_path: Path) -> None:
    old = tmp_path / "results" / "url"
    for name in ("one", "two"):
        with in_place_of(old) as new:
            (new / name).write_text("")
        assert [path.name for path in old.iterdir()] == [name]
    assert [path.name for path in old.parent.iterdir()] == ["url"]
