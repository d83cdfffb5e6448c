"""How much one document may ask for. It is looked at before it is validated, which takes the square of its length."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    visit,
)

MOST_FIELDS: Final = 300
"""As they are written. Clients ask for 30 at most, introspection for 70."""
MOST_SPREAD_FIELDS: Final = 1000
"""With those of fragments as often as they are spread."""
MOST_ROOT_FIELDS: Final = 10
"""Each may be an action."""
MOST_LONG_FIELDS: Final = 12
"""Under different names one page of a log may tell its megabyte so often."""
LONG_FIELDS: Final = {"payload", "value"}
MOST_DEPTH: Final = 25
"""Introspection by the usual tools needs 13, and its fragments one each."""


class _Size(NamedTuple):
    roots: int
    fields: int
    depth: int
    long_fields: int


_NOTHING = _Size(0, 0, 0, 0)


class _Written(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.fields = 0

    def enter_field(self, *_: Any) -> None:
        self.fields += 1

    def enter_fragment_spread(self, *_: Any) -> None:
        self.fields += 1


def over_bounds(parsed: DocumentNode) -> str | None:
    """Why a document is too large; None when it is not."""
    fragments = {
        definition.name.value: definition.selection_set
        for definition in parsed.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    written = _Written()
    visit(parsed, written)
    known: dict[str, _Size] = {}
    for name in fragments:
        _of_fragment(name, fragments, known)
    operations = [one.selection_set for one in parsed.definitions if isinstance(one, OperationDefinitionNode)]
    sizes = [*known.values(), *(_of(one, fragments, known) for one in operations)]
    roots = sum(_of(one, fragments, known).roots for one in operations)
    long_fields = max((size.long_fields for size in sizes), default=0)
    if max((size.fields for size in sizes), default=0) > MOST_SPREAD_FIELDS or written.fields > MOST_FIELDS:
        return "The document asks for too much at once."
    if roots > MOST_ROOT_FIELDS or long_fields > MOST_LONG_FIELDS:
        return "The document asks for too much at once."
    return "The document is nested too deeply." if any(size.depth > MOST_DEPTH for size in sizes) else None


def _of(
    selections: SelectionSetNode | None, fragments: Mapping[str, SelectionSetNode], known: dict[str, _Size]
) -> _Size:
    """With fragments as often as they are spread."""
    if selections is None:
        return _NOTHING
    sizes: list[_Size] = []
    for node in selections.selections:
        match node:
            case FieldNode():
                inner = _of(node.selection_set, fragments, known)
                long_fields = inner.long_fields + (node.name.value in LONG_FIELDS)
                sizes.append(_Size(1, 1 + inner.fields, 1 + inner.depth, long_fields))
            case InlineFragmentNode():
                inner = _of(node.selection_set, fragments, known)
                sizes.append(inner._replace(depth=1 + inner.depth))
            case FragmentSpreadNode():
                inner = _of_fragment(node.name.value, fragments, known)
                sizes.append(inner._replace(depth=1 + inner.depth, fields=1 + inner.fields))
    return _sum(sizes)


def _of_fragment(name: str, fragments: Mapping[str, SelectionSetNode], known: dict[str, _Size]) -> _Size:
    if name not in known:
        known[name] = _NOTHING  # one that spreads itself, which is refused when it is validated
        known[name] = _of(fragments.get(name), fragments, known)
    return known[name]


def _sum(sizes: Sequence[_Size]) -> _Size:
    return _Size(
        roots=min(sum(size.roots for size in sizes), MOST_ROOT_FIELDS + 1),
        fields=min(sum(size.fields for size in sizes), MOST_SPREAD_FIELDS + 1),
        depth=max((size.depth for size in sizes), default=0),
        long_fields=min(sum(size.long_fields for size in sizes), MOST_LONG_FIELDS + 1),
    )
