"""covers: tests/sharing.py"""

import pytest

from tests.sharing import SERVICE, scope_of


def test_every_test_that_uses_the_service_is_of_its_scope(request: pytest.FixtureRequest) -> None:
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    using = [item for item in tests if "service" in item.fixturenames]
    modules = {item.nodeid.partition("::")[0] for item in using}
    assert {scope_of(module) for module in modules} <= {SERVICE}


def test_the_modules_of_the_service_are_one_scope_and_others_each_their_own() -> None:
    assert scope_of("tests/test_service.py") == scope_of("tests/test_measurement.py") == SERVICE
    assert scope_of("tests/test_sharing.py") == "tests/test_sharing.py"
