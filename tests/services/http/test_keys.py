"""A deployment's keys admit, and nothing else does."""

import pytest

from services.http.errors import RequestError
from services.http.keys import Keyring, digest_of

KEY, OTHER = "a-key-of-this-deployment", "a-key-of-another-one"
RING = Keyring(digests=(digest_of("one-more-key-of-it"), digest_of(KEY)))


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer  {KEY} ", "Bearer one-more-key-of-it"])
def test_every_key_of_the_deployment_admits(value: str) -> None:
    RING.check([(b"accept", b"*/*"), (b"authorization", value.encode())])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", f"Bearer {OTHER}".encode())],
        [(b"authorization", KEY.encode())],
        [(b"authorization", f"Basic {KEY}".encode())],
        [(b"authorization", f"Bearer {digest_of(KEY)}".encode())],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"authorization", f"Bearer {KEY}".encode())] * 2,
        [(b"x-api-key", f"Bearer {KEY}".encode())],
    ],
)
def test_no_key_a_wrong_one_and_another_deployments_are_a_401(
    headers: list[tuple[bytes, bytes]],
) -> None:
    with pytest.raises(RequestError) as caught:
        RING.check(headers)
    assert caught.value.status == 401
    assert (b"www-authenticate", b"Bearer") in caught.value.headers()


def test_a_deployment_without_keys_admits_everybody() -> None:
    Keyring().check([])


def test_a_keyring_holds_and_shows_digests_alone() -> None:
    assert KEY not in repr(RING)
