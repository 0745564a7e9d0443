"""Who may use the endpoints: bearer keys, of which a deployment holds only the digests.

The keys themselves stay with the host process that read them: settings travel through Ray, are
shown and are hashed, so they carry digests.
"""

import hashlib
import hmac
from dataclasses import dataclass

from services.http.asgi import Headers
from services.http.errors import RequestError

_REFUSAL = "this deployment wants a key of its own: send `Authorization: Bearer <key>`"


def digest_of(key: str) -> str:
    """A key's SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """The digests of a deployment's keys; one without keys admits everybody."""

    digests: tuple[str, ...] = ()

    def admits(self, headers: Headers) -> bool:
        """Whether a request (ASGI headers, names in lower case) brings one of the keys.

        Every digest is compared, and in constant time, so that the time taken tells nothing of a
        key. Two authorizations are none.
        """
        if not self.digests:
            return True
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        found = hashlib.sha256(key.strip()).hexdigest()
        matches = [hmac.compare_digest(found, digest) for digest in self.digests]
        return any(matches) and scheme.lower() == b"bearer"

    def check(self, headers: Headers) -> None:
        """Let a request pass.

        Raises:
            RequestError: 401 for one without a key of this deployment.
        """
        if not self.admits(headers):
            raise RequestError(401, _REFUSAL)
