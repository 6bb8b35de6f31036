"""A small prover for protocol rules: resolution with free selection over Horn clauses, without a bound on sessions.

This is the method of ProVerif (Blanchet, "An efficient cryptographic protocol verifier based on Prolog rules", CSFW
2001), written from the paper and reduced to what docs/spec/formal/exchange_rules.py needs: free constructors,
rules of the attacker and of the honest parties, facts that are assumed ("begin"), and derivations that can be read.

A term is an ``int`` (a variable) or a tuple ``(functor, argument, ...)``. An atom is a term whose functor is a
predicate. Rules are written as text: ``att(K), att(N) -> att(seal(K, N))``, variables in upper case.

Saturation gives every rule that can be derived and has nothing left to resolve. What is not derivable from those is
not derivable at all. So "no violation" is a proof for any number of sessions of the *rules*; a violation is a
derivation, which a reader has to judge, because rules forget that a party does a thing only once.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from horn_terms import Atom, Bindings, Term, apply, clash, match, renumber, shift, size, unify, variables

__all__ = ["BoundReached", "Clause", "Derivation", "Rule", "Saturation", "derivation", "parse_rule", "saturate"]

KNOWN: Final = frozenset({"att", "att_later"})
"""Predicates of what the attacker knows. Nobody asks how an arbitrary term comes to be known."""

ASSUMED: Final = "begin_"
"""Facts whose predicate starts so are assumed whenever a rule needs them, and stay in what is derived."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as written: who acts, in words, and ``premises -> conclusion``."""

    actor: str
    words: str
    premises: tuple[Atom, ...]
    conclusion: Atom


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """A rule or a consequence of rules. ``origin`` is a ``Rule`` or how two clauses were resolved.

    ``selected`` is the index of the premise to resolve on, or ``None`` when nothing is left to resolve. For a
    consequence, ``kept[i]`` is the index that premise ``i`` had after equal ones were merged, or ``None``.
    ``width`` is the number of variables, which are numbered from 0; ``weight`` and ``shape`` are for quick comparisons.
    """

    premises: tuple[Atom, ...]
    conclusion: Atom
    origin: Rule | tuple[Clause, Clause]
    kept: tuple[int | None, ...]
    selected: int | None
    weight: int
    width: int
    shape: frozenset[str]


@dataclass(frozen=True, slots=True)
class Derivation:
    """One use of a rule, with what it concludes and the uses that its premises come from. ``None``: assumed."""

    rule: Rule
    conclusion: Atom
    premises: tuple[Derivation | None, ...]
    terms: tuple[Atom, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Saturation:
    """The derived clauses with nothing left to resolve, and how many clauses were made and kept."""

    solved: tuple[Clause, ...]
    made: int
    kept: int
    complete: bool

    def concluding(self, predicate: str) -> list[Clause]:
        """List the clauses that conclude a predicate, the simplest first."""
        found = [clause for clause in self.solved if clause.conclusion[0] == predicate]
        return sorted(found, key=lambda clause: (len(clause.premises), clause.weight))


class BoundReached(RuntimeError):
    """Saturation made more clauses than allowed: nothing was shown."""


def saturate(
    rules: Sequence[Rule], *, enough: Callable[[Clause], bool] = lambda _: False, limit: int = 100_000
) -> Saturation:
    """Close the rules under resolution. Raises ``BoundReached`` when that takes more than ``limit`` clauses.

    ``enough`` is asked for each new clause with nothing left to resolve; once it says so, saturation stops and is
    not ``complete``: what was derived is derived, but nothing follows about what was not.
    """
    order = count()
    waiting: list[tuple[int, int, Clause]] = []

    def put(clause: Clause | None) -> None:
        if clause is not None:
            heapq.heappush(waiting, (clause.weight, next(order), clause))

    for rule in rules:
        put(_clause(rule.premises, rule.conclusion, rule))
    kept = _Kept()
    while waiting:
        clause = heapq.heappop(waiting)[2]
        if any(_subsumes(other, clause) for other in kept.near_conclusion(clause.conclusion)):
            continue
        kept.drop([other for other in kept.near_conclusion(clause.conclusion) if _subsumes(clause, other)])
        kept.add(clause)
        if clause.selected is None:
            if enough(clause):
                return Saturation(kept.solved(), next(order), len(kept), complete=False)
            for other in kept.waiting_for(clause.conclusion):
                put(_resolve(clause, other))
        else:
            for other in kept.near_conclusion(clause.premises[_selected(clause)]):
                if other.selected is None:
                    put(_resolve(other, clause))
        if next(order) > limit:
            raise BoundReached(f"more than {limit} clauses")
    return Saturation(kept.solved(), next(order), len(kept), complete=True)


def derivation(clause: Clause) -> Derivation:
    """Rebuild how a clause follows from rules, every variable replaced as far as the derivation decides it."""
    bindings: Bindings = {}
    fresh = count()
    root, _ = _replay(clause, bindings, fresh)
    return _resolved(root, bindings, {})


# --- text to rules -----------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|->|[(),])")


def parse_rule(actor: str, words: str, text: str) -> Rule:
    """Read ``premise, premise -> conclusion``; raises ``ValueError`` for anything else."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        raise ValueError(f"not a rule: {text}")
    names: dict[str, int] = {}
    position = 0

    def term() -> Any:
        nonlocal position
        name = tokens[position]
        position += 1
        if name[0].isupper():
            return names.setdefault(name, len(names))
        arguments: list[Term] = []
        if position < len(tokens) and tokens[position] == "(":
            while tokens[position] in "(,":
                position += 1
                arguments.append(term())
            if tokens[position] != ")":
                raise ValueError(f"not closed: {text}")
            position += 1
        return (name, *arguments)

    premises: list[Atom] = []
    while tokens[position] != "->":
        premises.append(term())
        if tokens[position] == ",":
            position += 1
    position += 1
    conclusion = term()
    if position != len(tokens):
        raise ValueError(f"more than a conclusion: {text}")
    return Rule(actor, words, tuple(premises), conclusion)


# --- clauses -----------------------------------------------------------------------------------------------------


def _clause(premises: Iterable[Atom], conclusion: Atom, origin: Rule | tuple[Clause, Clause]) -> Clause | None:
    """Make a clause: equal premises once, idle ones dropped, variables renumbered; ``None`` if it says nothing new."""
    raw = list(premises)
    if conclusion in raw:
        return None
    used: dict[int, int] = {}
    for atom in [*dict.fromkeys(raw), conclusion]:
        for variable in variables(atom):
            used[variable] = used.get(variable, 0) + 1
    merged: list[Atom] = []
    kept: list[int | None] = []
    for atom in raw:
        if atom in merged:
            kept.append(merged.index(atom))
        elif atom[0] in KNOWN and isinstance(atom[1], int) and used[atom[1]] == 1:
            kept.append(None)  # the attacker knows something, and any term will do
        else:
            kept.append(len(merged))
            merged.append(atom)
    numbers: dict[int, int] = {}
    tidy = tuple(renumber(atom, numbers) for atom in merged)
    head = renumber(conclusion, numbers)
    return Clause(
        premises=tidy,
        conclusion=head,
        origin=origin,
        kept=tuple(kept),
        selected=_select(tidy),
        weight=sum(map(size, tidy)) + size(head),
        width=len(numbers),
        shape=frozenset(atom[0] for atom in tidy),
    )


def _select(premises: Sequence[Atom]) -> int | None:
    """Choose the premise that says most; never an assumed fact, never "the attacker knows X"."""
    best, most = None, 0
    for index, atom in enumerate(premises):
        if atom[0].startswith(ASSUMED) or (atom[0] in KNOWN and isinstance(atom[1], int)):
            continue
        if (weight := size(atom)) > most:
            best, most = index, weight
    return best


def _resolve(solved: Clause, open_: Clause) -> Clause | None:
    """Put a solved clause in the place of the selected premise of another."""
    at = _selected(open_)
    if clash(solved.conclusion, open_.premises[at]):
        return None
    bindings: Bindings = {}
    by = open_.width
    if not unify(shift(solved.conclusion, by), open_.premises[at], bindings):
        return None
    premises = [
        *open_.premises[:at],
        *(shift(atom, by) for atom in solved.premises),
        *open_.premises[at + 1 :],
    ]
    return _clause([apply(atom, bindings) for atom in premises], apply(open_.conclusion, bindings), (solved, open_))


def _selected(clause: Clause) -> int:
    if clause.selected is None:
        raise ValueError("nothing is left to resolve on")
    return clause.selected


def _subsumes(general: Clause, special: Clause) -> bool:
    """Tell whether one clause says all that another says."""
    if (
        general.weight > special.weight
        or clash(general.conclusion, special.conclusion)
        or not general.shape <= special.shape
    ):
        return False
    bindings: Bindings = {}
    if not match(general.conclusion, special.conclusion, bindings):
        return False
    return _match_all(general.premises, special.premises, bindings)


def _match_all(patterns: Sequence[Term], atoms: Sequence[Term], bindings: Bindings) -> bool:
    if not patterns:
        return True
    for atom in atoms:
        trial = dict(bindings)
        if match(patterns[0], atom, trial) and _match_all(patterns[1:], atoms, trial):
            return True
    return False


class _Kept:
    """Clauses by what they conclude and by the premise they wait for: predicate, then functor of the argument."""

    def __init__(self) -> None:
        self._conclusions: dict[str, dict[str | None, list[Clause]]] = {}
        self._selected: dict[str, dict[str | None, list[Clause]]] = {}
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, clause: Clause) -> None:
        for table, key in self._places(clause):
            table.setdefault(key[0], {}).setdefault(key[1], []).append(clause)
        self.size += 1

    def drop(self, clauses: Sequence[Clause]) -> None:
        for clause in clauses:
            for table, key in self._places(clause):
                table[key[0]][key[1]].remove(clause)
            self.size -= 1

    def near_conclusion(self, atom: Atom) -> Iterator[Clause]:
        """Give the clauses whose conclusion might be made equal to an atom."""
        return self._near(self._conclusions, atom)

    def waiting_for(self, atom: Atom) -> Iterator[Clause]:
        """Give the clauses whose selected premise might be made equal to an atom."""
        return self._near(self._selected, atom)

    def solved(self) -> tuple[Clause, ...]:
        tables = self._conclusions.values()
        return tuple(c for table in tables for found in table.values() for c in found if c.selected is None)

    def _places(
        self, clause: Clause
    ) -> Iterator[tuple[dict[str, dict[str | None, list[Clause]]], tuple[str, str | None]]]:
        yield self._conclusions, _key(clause.conclusion)
        if clause.selected is not None:
            yield self._selected, _key(clause.premises[_selected(clause)])

    @staticmethod
    def _near(table: dict[str, dict[str | None, list[Clause]]], atom: Atom) -> Iterator[Clause]:
        predicate, functor = _key(atom)
        for other, clauses in list(table.get(predicate, {}).items()):
            if functor is None or other is None or other == functor:
                yield from list(clauses)


def _key(atom: Atom) -> tuple[str, str | None]:
    first = atom[1] if len(atom) > 1 else None
    return atom[0], first[0] if isinstance(first, tuple) else None


# --- derivations -------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Node:
    rule: Rule
    conclusion: Atom
    premises: list[Atom]
    children: list[_Node | None]


_Slots = list[tuple[_Node, int]]


def _replay(clause: Clause, bindings: Bindings, fresh: Iterator[int]) -> tuple[_Node, list[_Slots]]:
    """Rebuild the tree of a clause; for each of its premises, the places in the tree that wait for it."""
    if isinstance(clause.origin, Rule):
        rule = clause.origin
        names: dict[int, int] = {}
        for atom in (*rule.premises, rule.conclusion):
            for variable in variables(atom):
                if variable not in names:
                    names[variable] = next(fresh)
        premises = [_apply_names(atom, names) for atom in rule.premises]
        root = _Node(rule, _apply_names(rule.conclusion, names), premises, [None] * len(premises))
        slots: list[_Slots] = [[(root, index)] for index in range(len(premises))]
    else:
        solved, open_ = clause.origin
        root, slots = _replay(open_, bindings, fresh)
        at = _selected(open_)
        child, child_slots = _replay(solved, bindings, fresh)
        for node, index in slots[at]:
            node.children[index] = child
            if not unify(child.conclusion, node.premises[index], bindings):
                raise AssertionError("a derivation does not replay")
        slots = [*slots[:at], *child_slots, *slots[at + 1 :]]
    merged: list[_Slots] = [[] for _ in clause.premises]
    for waiting, place in zip(slots, clause.kept, strict=True):
        if place is None:
            continue
        if merged[place]:
            first, second = merged[place][0], waiting[0]
            if not unify(first[0].premises[first[1]], second[0].premises[second[1]], bindings):
                raise AssertionError("a derivation does not replay")
        merged[place] += waiting
    return root, merged


def _apply_names(term: Term, names: dict[int, int]) -> Any:
    return names[term] if isinstance(term, int) else (term[0], *(_apply_names(a, names) for a in term[1:]))


def _resolved(node: _Node, bindings: Bindings, done: dict[int, Derivation]) -> Derivation:
    if id(node) not in done:
        done[id(node)] = Derivation(
            rule=node.rule,
            conclusion=apply(node.conclusion, bindings),
            premises=tuple(None if child is None else _resolved(child, bindings, done) for child in node.children),
            terms=tuple(apply(atom, bindings) for atom in node.premises),
        )
    return done[id(node)]
