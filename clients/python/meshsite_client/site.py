"""Where the server is, and how a program shows who it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Group:
    """A group of classrooms, and who follows it: a node that joined, or its host. They need no heartbeats then."""

    group_id: str
    domain: str
    node_id: str | None = None
    host_id: str | None = None

    @property
    def query(self) -> dict[str, str]:
        who = {"node_id": self.node_id, "host_id": self.host_id}
        return {"domain": self.domain} | {name: value for name, value in who.items() if value is not None}


@dataclass(frozen=True)
class Site:
    """A bearer `token`, the `cookies` of a signed-in browser, or an API `key` of classrooms; nothing when tickets open
    the connections. With a `group` it is followed instead of the user's own stream.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str | None = field(default=None, repr=False)
    group: Group | None = None

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
        if self.key is not None:
            return {"X-API-Key": self.key}
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
        return f"{self._base}/poll/{self._followed(query)}"

    def socket_url(self, query: Mapping[str, str]) -> str:
        return f"ws{self._base.removeprefix('http')}/ws/{self._followed(query)}"

    def leaving(self, session: str | None) -> tuple[str, dict[str, str | None]] | None:
        """The call that says goodbye for who polls; None where there is nobody to say it for."""
        group = self.group
        if group is None:
            return "presence.leave", {"session": session}
        if group.node_id is None:
            return None
        return "mesh.leave", {"group_id": group.group_id, "domain": group.domain, "node_id": group.node_id}

    def _followed(self, query: Mapping[str, str]) -> str:
        if self.group is None:
            return f"user/me?{urlencode(query)}"
        return f"mesh/{quote(self.group.group_id, safe='')}?{urlencode({**self.group.query, **query})}"
