"""A derivation told as a sequence of messages, with short names for what is long."""

from __future__ import annotations

from horn import Clause, Derivation, derivation

__all__ = ["story"]

_QUIET = frozenset({"everybody", "world"})
_KEY_NAMES = {"dk": "deployment key {}", "ik": "instance key {}", "ak": "attestation key {}"}

_SHAPES = {
    "pk": "public {0}",
    "kdf": "{1}({0}, {2})",
    "seal": "sealed to [{0}]: {2}",
    "claims": "claims(root {1}; {2}; {3})",
    "quote": "quote [{0}, {1}] of {2}",
    "sig": "signed [{0}] {2}",
    "cert": "certificate({0}; {1}; {2}; {3})",
    "box": "box [{0}, number {1}] of {3}",
}
"""How a term is told, by its functor and its arguments."""


def story(clause: Clause) -> str:
    """Tell how a clause came to be: numbered steps, then the meaning of the short names."""
    return _Teller().tell(derivation(clause))


class _Teller:
    """Gives names in the order of the story: C1, C2 (clients), s1 (secrets), h1 (transcripts), x1 (anything)."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}
        self._counts: dict[str, int] = {}
        self._legend: list[str] = []
        self._told: set[tuple[str, str, object]] = set()
        self._lines: list[str] = []

    def tell(self, root: Derivation) -> str:
        self._step(root)
        steps = [f"{number:3}. {line}" for number, line in enumerate(self._lines, 1)]
        return "\n".join([*steps, "", *(f"     {line}" for line in self._legend)]).rstrip()

    def _step(self, node: Derivation) -> None:
        for child in node.premises:
            if child is not None:
                self._step(child)
        rule = node.rule
        key = (rule.actor, rule.words, node.conclusion)
        if rule.actor in _QUIET or (rule.actor == "attacker" and rule.words.startswith("makes")) or key in self._told:
            return
        self._told.add(key)
        self._lines.append(f"{rule.actor} {rule.words} {self._what(node)}".rstrip())

    def _what(self, node: Derivation) -> str:
        conclusion = node.conclusion
        if not isinstance(conclusion, tuple) or conclusion[0].startswith("bad_"):
            return ""
        predicate, *arguments = conclusion
        if predicate in ("att", "att_later"):
            return self._term(arguments[0])
        if predicate.startswith("got_"):
            return f"{self._term(node.terms[0][1])}{self._source(node)}"
        if predicate == "accepted":
            role, session, pin, secret, transcript, key, machine = arguments
            client = self._client(role, session, pin)
            return (
                f"({client}): secret {self._term(secret)}, transcript {self._term(transcript)}, "
                f"{self._term(key)}, machine {self._term(machine)}"
            )
        if predicate == "served":
            instance, deployment, machine, secret, transcript = arguments
            return (
                f"({self._term(instance)} of deployment {self._term(deployment)} on {self._term(machine)}): "
                f"secret {self._term(secret)}, transcript {self._term(transcript)}"
            )
        if predicate == "batch":
            return f"({self._term(arguments[0])}) with root {self._term(arguments[3])}"
        return ", ".join(map(self._term, arguments))

    def _source(self, node: Derivation) -> str:
        child = node.premises[0]
        if child is None or child.rule.actor != "attacker":
            return ""
        return " (made by the attacker)"

    def _term(self, term: object) -> str:
        if isinstance(term, int):
            return self._name("x", term, "anything")
        if not isinstance(term, tuple):
            raise TypeError("not a term")
        name, *arguments = term
        if not arguments:
            return str(name).removeprefix("l_")
        if name in _KEY_NAMES:
            return _KEY_NAMES[name].format(self._term(arguments[0]))
        if name in ("nc", "kc"):
            return f"{'nonce' if name == 'nc' else 'one-time key'} of {self._client(*arguments)}"
        if name == "s":
            instance, _, nonce, key, _ = arguments
            self_made = f"drawn by {self._term(instance)} for a hello with {self._term(nonce)}, {self._term(key)}"
            return self._name("s", term, self_made)
        if name == "h":
            return self._name("h", term, f"hash of {', '.join(self._term(part) for part in arguments)}")
        parts = [self._term(part) for part in arguments]
        shape = _SHAPES.get(str(name))
        return shape.format(*parts) if shape else f"{name}({', '.join(parts)})"

    def _client(self, role: object, session: object, pin: object) -> str:
        words = {
            "target": "a client",
            "leaky": "a client whose one-time keys leak",
            "device": "a client with an enclave",
        }
        kind = words.get(self._plain(role), "some client")
        return self._name("C", ("client", role, session, pin), f"{kind} that wants deployment {self._plain(pin)}")

    @staticmethod
    def _plain(term: object) -> str:
        return str(term[0]) if isinstance(term, tuple) else "any"

    def _name(self, prefix: str, key: object, meaning: str) -> str:
        if key not in self._names:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._names[key] = f"{prefix}{self._counts[prefix]}"
            self._legend.append(f"{self._names[key]}: {meaning}")
        return self._names[key]
