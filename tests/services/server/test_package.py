from pathlib import Path

import services.server


def test_the_package_is_the_one_of_this_repository() -> None:
    root = Path(__file__).parents[3]
    assert services.server.__file__ is not None
    assert Path(services.server.__file__).is_relative_to(root)
