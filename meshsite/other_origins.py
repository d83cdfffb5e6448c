"""What pages of other sites need to see the answers of classrooms. A key is all that they have to bring.

Cookies are not among it: without Access-Control-Allow-Credentials a browser shows no answer to a request with some.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, x-api-key, authorization, accept"),
    (b"access-control-max-age", b"86400"),
)


def open_to_other_origins(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view, for pages of other sites, too."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = HttpResponse(status=204) if request.method == "OPTIONS" else view(request, *args, **kwargs)
        for name, value in HEADERS:
            response[name.decode()] = value.decode()
        return response

    return answer
