from pathlib import Path

import eval.stats


def test_the_package_is_this_repositorys_own() -> None:
    assert Path(eval.stats.__file__).is_relative_to(Path(__file__).parents[2])
