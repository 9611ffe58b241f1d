"""One request over HTTP: redirects followed here, so that none leads to another kind of address; nothing decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from kpcore import __version__
from kpcore.errors import KpError
from kpcore.fetching.wanted import is_address, shown

if TYPE_CHECKING:
    from requests import Response, Session

REDIRECTS = 10
"""Redirects that are followed."""
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which another try makes sense."""
CHUNK = 2**18
"""Bytes that are read at once."""
LONGEST_PAUSE = 60.0
"""Seconds that a server may have us wait."""
HEADERS = {
    "Accept-Encoding": "identity",  # a part of a file must be a part of its own bytes
    "User-Agent": f"kptransfer/{__version__}",
    "Connection": "close",
}


class Cut(Exception):  # noqa: N818 - it is no error yet: the download goes on
    """The connection broke, or the server cannot answer now: worth another try.

    Args:
        why: in words.
        pause: seconds that the server asks for.
    """

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


@contextmanager
def answer(address: str, headers: Mapping[str, str], timeout: float) -> Iterator[Response]:
    """Ask for an address and yield what the server answers, its body not read yet.

    Args:
        address: of HTTP or HTTPS.
        headers: besides our own.
        timeout: seconds until the connection stands, and between two parts of the answer.

    Raises:
        Cut: there is no connection, or the server answers that it cannot now.
        KpError: it refuses, or redirects in a circle or to an address of another kind.
    """
    import requests

    with _straight() as session:
        for _ in range(REDIRECTS + 1):
            response = _asked(session, address, {**HEADERS, **headers}, timeout)
            with response:
                target = requests.Session.get_redirect_target(session, response)
                if target is None:
                    _refused(address, response)
                    yield response
                    return
            address = _followed(address, target)
    raise KpError(f"{shown(address)}: more than {REDIRECTS} redirects")


def chunks(response: Response) -> Iterator[bytes]:
    """Yield the body as the server sends it; raises Cut where the connection breaks."""
    import urllib3

    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
        raise Cut(_reason(error)) from error


def _straight() -> Session:
    """Return a session that looks at no redirect: requests would read its body whole, however long that is."""
    import requests

    class Straight(requests.Session):
        def get_redirect_target(self, resp: Response) -> str | None:
            del resp
            return None

    return Straight()


def _asked(session: Session, address: str, headers: Mapping[str, str], timeout: float) -> Response:
    import requests

    try:
        return session.get(address, headers=headers, stream=True, allow_redirects=False, timeout=timeout)
    except requests.exceptions.SSLError as error:
        raise KpError(f"{shown(address)}: its certificate is not accepted ({_reason(error)})") from error
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise Cut(_reason(error)) from error
    except (requests.exceptions.RequestException, ValueError) as error:
        raise KpError(f"{shown(address)}: cannot be asked for ({_reason(error)})") from error


def _refused(address: str, response: Response) -> None:
    """Raise for an answer that is not the file; 416 says that there is no more of it, which the caller looks at."""
    status, text = response.status_code, f"{response.status_code} {response.reason or ''}".strip()
    if status in AGAIN:
        raise Cut(f"the server answers {text}", _pause(response))
    if status not in (200, 206, 416):
        raise KpError(
            f"{shown(address)}: the server answers {text}; where the file lies elsewhere, say so with --from"
            " NAME=ADDRESS or --from NAME=FILE"
        )


def _pause(response: Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _followed(address: str, target: str) -> str:
    """Return where a redirect leads.

    Raises:
        KpError: to no address of HTTP or HTTPS, or from HTTPS to HTTP.
    """
    try:
        found = urljoin(address, target)
    except ValueError:
        found = ""
    if not is_address(found):
        raise KpError(f"{shown(address)}: redirects to {target[:200]!a}, which is no address of HTTP or HTTPS")
    if address.startswith("https:") and not found.startswith("https:"):
        raise KpError(f"{shown(address)}: redirects from HTTPS to {shown(found)}; give that by --from if you trust it")
    return found


def _reason(error: BaseException) -> str:
    """Return the innermost cause, on one line: requests and urllib3 wrap it several times over."""
    inner = error
    while inner.args and isinstance(inner.args[-1], BaseException):
        inner = inner.args[-1]
    reason = getattr(inner, "reason", None)
    text = str(reason if isinstance(reason, BaseException) else inner)
    return " ".join(text.split())[:200] or type(inner).__name__
