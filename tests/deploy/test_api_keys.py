"""Keys are read from where the plan says, and told to nobody.

covers: deploy/client_key.py, deploy/plan_variants.py
"""

from pathlib import Path

import pytest

from deploy.api_keys import (
    ApiKeyError,
    forget_keys,
    is_loopback,
    provide_client_key,
    read_keys,
    require_keys,
)
from deploy.client_key import CLIENT_VARIABLE, client_headers
from deploy.plan import Serving

KEY, SECOND = "first-key-0123456789", "second-key-0123456789"


def key_file(folder: Path, content: str, mode: int = 0o600) -> Serving:
    path = folder / "keys"
    path.write_text(content)
    path.chmod(mode)
    return Serving(api_keys_file=str(path))


def test_keys_come_from_the_variable_that_the_plan_names() -> None:
    serving = Serving(api_keys_env="MY_KEYS")
    assert read_keys(serving, {"MY_KEYS": f" {KEY}, {SECOND},"}) == (KEY, SECOND)
    assert read_keys(serving, {"ASSAY_API_KEYS": KEY}) == ()


def test_a_file_that_the_plan_names_comes_before_the_variable(tmp_path: Path) -> None:
    serving = key_file(tmp_path, f"# ours\n{KEY}  # of the test\n\n{SECOND}\n")
    assert read_keys(serving, {"ASSAY_API_KEYS": "another-key-0123456789"}) == (KEY, SECOND)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ApiKeyError, match="chmod 600"):
        read_keys(key_file(tmp_path, KEY, mode), {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiKeyError, match=r"api_keys_file: /.*/none cannot be read"):
        read_keys(Serving(api_keys_file=str(tmp_path / "none")), {})


@pytest.mark.parametrize("bad", ["short", "with a blank 0123456789", "ümlaut-0123456789-xyz"])
def test_a_key_that_cannot_be_used_is_refused_and_not_told(bad: str) -> None:
    with pytest.raises(ApiKeyError, match=r"key 2 of \$ASSAY_API_KEYS") as caught:
        read_keys(Serving(), {"ASSAY_API_KEYS": f"{KEY},{bad}"})
    assert bad not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gpu-box", "192.0.2.7"])
def test_an_address_that_others_reach_needs_keys(host: str) -> None:
    with pytest.raises(ApiKeyError, match=r"serving.host: .* export ASSAY_API_KEYS="):
        require_keys(Serving(host=host), {})
    assert require_keys(Serving(host=host), {"ASSAY_API_KEYS": KEY}) == (KEY,)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_may_do_without(host: str) -> None:
    assert require_keys(Serving(host=host), {}) == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_loopback_has_several_addresses(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1", "example.org"]
)
def test_any_other_address_is_beyond_it(address: str) -> None:
    assert not is_loopback(address)


def test_our_own_tools_get_a_key_to_send_unless_the_user_gave_one() -> None:
    environment = {"ASSAY_API_KEYS": f"{KEY},{SECOND}"}
    provide_client_key(Serving(), environment)
    assert client_headers(environment) == {"Authorization": f"Bearer {KEY}"}
    environment[CLIENT_VARIABLE] = SECOND
    provide_client_key(Serving(), environment)
    assert client_headers(environment) == {"Authorization": f"Bearer {SECOND}"}
    assert client_headers({}) == {}


def test_what_the_host_starts_inherits_no_key() -> None:
    environment = {"ASSAY_API_KEYS": KEY, "ASSAY_API_KEY": KEY, "MINE": KEY, "PATH": "/bin"}
    forget_keys(Serving(api_keys_env="MINE"), environment)
    assert environment == {"PATH": "/bin"}
