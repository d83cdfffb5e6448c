"""Where the server is, and how a program shows who it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True)
class Site:
    """A bearer `token`, or the `cookies` of a signed-in browser, or neither when tickets open the connections."""

    url: str
    token: str | None = field(default=None, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"expected a URL with http:// or https://, got {self.url!r}")

    @property
    def _base(self) -> str:
        return self.url.rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token}"}
        if not self.cookies:
            return {}
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if csrf_token := self.cookies.get("csrftoken"):
            # Over TLS Django also wants to know which page it was.
            headers |= {"X-CSRFToken": csrf_token, "Referer": f"{self._base}/"}
        return headers

    def call_url(self, method: str) -> str:
        return f"{self._base}/api/{method}"

    def poll_url(self, query: Mapping[str, str]) -> str:
        return f"{self._base}/poll/user/me?{urlencode(query)}"

    def socket_url(self, query: Mapping[str, str]) -> str:
        return f"ws{self._base.removeprefix('http')}/ws/user/me?{urlencode(query)}"
