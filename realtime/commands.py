"""The methods that clients call: one table, one function each, whether the call comes over HTTP or a socket."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from rest_framework import serializers

from realtime.errors import UnknownMethod

Scope = Literal["read", "write", "moderate"]
ALL_SCOPES: frozenset[str] = frozenset({"read", "write", "moderate"})


@dataclass(frozen=True)
class Caller:
    """Who calls. `credential` names the sign-in or token, so that its end can close what it opened."""

    user: AbstractBaseUser
    scopes: frozenset[str] = ALL_SCOPES
    credential: str = ""


class Params(serializers.Serializer[Any]):
    """Base of all parameters: fields that nobody asked for are an error, so that a misspelt name is noticed."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := set(data) - set(self.fields)):
            raise serializers.ValidationError({str(name): [_("Unknown field.")] for name in sorted(unknown)})
        values: dict[str, Any] = super().to_internal_value(data)
        return values


Run = Callable[[Caller, dict[str, Any]], Any]


@dataclass(frozen=True)
class Method:
    name: str
    run: Run
    params: type[Params]
    answer: Any
    """A TypedDict: the shape of the answer, for the OpenAPI document."""
    reads: bool
    """Changes nothing, so it may be a GET."""
    scope: Scope
    summary: str


METHODS: dict[str, Method] = {}


def method(name: str, *, params: type[Params], answer: Any, scope: Scope) -> Callable[[Run], Run]:
    """Register a method under its wire name. Its docstring is its documentation."""

    def register(run: Run) -> Run:
        if name in METHODS:
            raise TypeError(f"two methods are called {name}")
        METHODS[name] = Method(name, run, params, answer, scope == "read", scope, (run.__doc__ or "").strip())
        return run

    return register


def call(caller: Caller, name: str, params: Any, *, query: bool = False) -> Any:
    """Run a method: right of the credential, checked parameters, answer. Raises what realtime/errors.py knows.

    `query` says that the parameters come from a query string, where every value is text.
    """
    found = METHODS.get(name)
    if found is None:
        raise UnknownMethod(name)
    if found.scope not in caller.scopes:
        raise PermissionDenied(_("This token lacks the scope %(scope)s.") % {"scope": found.scope})
    checked = found.params(data=params, context={"query": query})
    checked.is_valid(raise_exception=True)
    return found.run(caller, checked.validated_data)
