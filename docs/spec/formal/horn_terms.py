"""Terms and atoms: an ``int`` is a variable, a tuple is ``(functor, argument, ...)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Atom", "Bindings", "Term", "apply", "clash", "match", "renumber", "shift", "size", "unify", "variables"]

Atom = tuple[Any, ...]
Term = int | Atom
Bindings = dict[int, Term]


def variables(term: Term) -> Iterator[int]:
    """Give the variables of a term, each as often as it occurs."""
    if isinstance(term, int):
        yield term
    else:
        for argument in term[1:]:
            yield from variables(argument)


def size(term: Term) -> int:
    """Count functors and variables."""
    return 1 if isinstance(term, int) else 1 + sum(map(size, term[1:]))


def shift(term: Term, by: int) -> Any:
    """Rename every variable by adding to its number."""
    return term + by if isinstance(term, int) else (term[0], *(shift(argument, by) for argument in term[1:]))


def renumber(term: Term, numbers: dict[int, int]) -> Any:
    """Number variables in the order of their first occurrence; ``numbers`` remembers."""
    if isinstance(term, int):
        return numbers.setdefault(term, len(numbers))
    return (term[0], *(renumber(argument, numbers) for argument in term[1:]))


def apply(term: Term, bindings: Bindings) -> Any:
    """Replace bound variables, all the way."""
    if isinstance(term, int):
        return apply(bindings[term], bindings) if term in bindings else term
    return (term[0], *(apply(argument, bindings) for argument in term[1:]))


def unify(left: Term, right: Term, bindings: Bindings) -> bool:
    """Bind variables until both terms are one; tells whether that can be."""
    while isinstance(left, int) and left in bindings:
        left = bindings[left]
    while isinstance(right, int) and right in bindings:
        right = bindings[right]
    if left == right:
        return True
    if isinstance(left, int):
        if left in variables(apply(right, bindings)):
            return False
        bindings[left] = right
        return True
    if isinstance(right, int):
        return unify(right, left, bindings)
    return (
        left[0] == right[0]
        and len(left) == len(right)
        and all(unify(a, b, bindings) for a, b in zip(left[1:], right[1:], strict=True))
    )


def clash(left: Term, right: Term) -> bool:
    """Tell quickly that two terms cannot become one, whatever their variables are."""
    if isinstance(left, int) or isinstance(right, int):
        return False
    return left[0] != right[0] or any(map(clash, left[1:], right[1:]))


def match(pattern: Term, term: Term, bindings: Bindings) -> bool:
    """Bind the variables of a pattern until it is the term; tells whether that can be."""
    if isinstance(pattern, int):
        return bindings.setdefault(pattern, term) == term
    if isinstance(term, int) or pattern[0] != term[0] or len(pattern) != len(term):
        return False
    return all(match(a, b, bindings) for a, b in zip(pattern[1:], term[1:], strict=True))
