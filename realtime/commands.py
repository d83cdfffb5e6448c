"""The methods that clients call: one table, one function each, whether the call comes over HTTP or a socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from rest_framework import serializers

from realtime.errors import UnknownMethod

Scope = Literal["read", "write", "moderate", "mesh"]
ALL_SCOPES: frozenset[str] = frozenset({"read", "write", "moderate"})
"""Of a person. `mesh` is what an API key of classrooms has instead, and only methods that say so take it."""


@dataclass(frozen=True)
class Caller:
    """Who calls. `credential` names the sign-in or token, so that its end can close what it opened."""

    user: AbstractBaseUser | AnonymousUser
    """Anonymous for an API key, which is nobody's."""
    scopes: frozenset[str] = ALL_SCOPES
    credential: str = ""
    session_key: str = field(default="", repr=False)
    """Of a sign-in with a cookie, to ask later whether it still holds."""
    address: str = ""
    """Where the call comes from, as far as proxies of ours vouch for it."""
    domains: frozenset[str] = frozenset()
    """In which alone the credential works, if there are some."""


class Params(serializers.Serializer[Any]):
    """Base of all parameters: fields that nobody asked for are an error, so that a misspelt name is noticed."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := set(data) - set(self.fields)):
            raise serializers.ValidationError({str(name): [_("Unknown field.")] for name in sorted(unknown)})
        values: dict[str, Any] = super().to_internal_value(data)
        return values


Run = Callable[[Caller, dict[str, Any]], Any]


class Call(NamedTuple):
    caller: Caller
    params: dict[str, Any]


Together = Callable[[Sequence[Call]], Sequence[Any]]
"""Runs several calls at once; for each its answer, or the exception that it would have raised alone."""


@dataclass(frozen=True)
class Method:
    name: str
    run: Run
    params: type[Params]
    answer: Any
    """A TypedDict: the shape of the answer, for the OpenAPI document."""
    scope: Scope
    scopes: frozenset[str]
    """Any one of these suffices."""
    reads: bool
    """Changes nothing, so it may be a GET."""
    together: Together | None
    """For a method that many call at the same time, when they share the cost."""

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip()


METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    params: type[Params],
    answer: Any,
    scope: Scope,
    or_scope: Scope | None = None,
    reads: bool | None = None,
    together: Together | None = None,
) -> Callable[[Run], Run]:
    """Register a method under its wire name. Its docstring is its documentation.

    A method of the scope `read` is taken to change nothing, unless `reads` says otherwise.
    """

    def register(run: Run) -> Run:
        if name in METHODS:
            raise TypeError(f"two methods are called {name}")
        scopes = frozenset(filter(None, (scope, or_scope)))
        only_reads = scope == "read" if reads is None else reads
        METHODS[name] = Method(name, run, params, answer, scope, scopes, only_reads, together)
        return run

    return register


def call(caller: Caller, name: str, params: Any, *, query: bool = False) -> Any:
    """Run a method: right of the credential, checked parameters, answer. Raises what realtime/errors.py knows.

    `query` says that the parameters come from a query string, where every value is text.
    """
    found = METHODS.get(name)
    if found is None:
        raise UnknownMethod(name)
    return found.run(caller, _checked(found, caller, params, query=query))


def call_together(name: str, calls: Sequence[tuple[Caller, Any]]) -> list[Any]:
    """`call` of one method for many callers: for each the answer, or the exception that it would have raised."""
    found = METHODS[name]
    answers: list[Any] = [None] * len(calls)
    checked: dict[int, Call] = {}
    for index, (caller, params) in enumerate(calls):
        try:
            checked[index] = Call(caller, _checked(found, caller, params, query=False))
        except Exception as error:
            answers[index] = error
    if found.together is not None and checked:
        for index, answer in zip(checked, found.together(list(checked.values())), strict=True):
            answers[index] = answer
    return answers


def _checked(found: Method, caller: Caller, params: Any, *, query: bool) -> dict[str, Any]:
    if found.scopes.isdisjoint(caller.scopes):
        raise PermissionDenied(_("This token lacks the scope %(scope)s.") % {"scope": found.scope})
    checked: dict[str, Any] = _serializer(found.params, query).run_validation(params)
    return checked


@cache
def _serializer(params: type[Params], query: bool) -> Params:
    """One for all calls: validating leaves nothing behind in it, and making one costs more than using it."""
    return params(context={"query": query})
