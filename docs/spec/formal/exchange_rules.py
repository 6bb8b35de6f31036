"""The attested exchange as rules: who sends what when, what the attacker can do, and what must not follow.

Numbers in comments are those of docs/spec/attested-channel.md. What each primitive became, and what was left out,
is in docs/spec/formal/README.md. Every protection is a ``Lock`` that can be taken off, every gift to the attacker a
``Power`` that can be given or not; ``rules`` writes the rules of one choice of both.

Terms: ``dk(d)`` the private key of deployment ``d``, ``ik(i)`` of instance ``i``, ``ak(m)`` the attestation key of
machine ``m``, ``pk(x)`` the public key of ``x``; ``kc``, ``nc`` a client's one-time key and nonce; ``s`` a session's
secret; ``data`` what a user says. A hash of something that everybody knows stands for the thing itself.
"""

from __future__ import annotations

from exchange_locks import BASE, Lock, Power
from horn import Rule, parse_rule

__all__ = ["rules"]


_INSTANCES = {"i1": ("a", "m1"), "i2": ("a", "m1"), "i3": ("a", "m3"), "i4": ("b", "m1")}
_CONSTRUCTORS = {
    "seal": 3, "kdf": 3, "leaf": 1, "node": 2, "claims": 4, "sig": 3, "quote": 3, "box": 4,
}  # fmt: skip
_PUBLIC = [
    "m1",
    "m2",
    "m3",
    "m4",
    "code",
    "other_code",
    "now",
    "past",
    "none",
    "first",
    "second",
    "for_evidence",
    "claims_server",
    "claims_client",
    "l_claims",
    "l_certificate",
    "l_handshake",
    "l_server_attests",
    "l_client_attests",
    "l_confirms",
    "l_c2s",
    "l_s2c",
    "l_id",
]

_NO_SECRET = (
    "pk(X)", "h(N, K, W, C, D)", "info(N, K, W)", "cert(D, I, M, T)", "ad_request(C)", "ad_answer(C, N)",
)  # fmt: skip
"""Public keys, and hashes and statements of what everybody may know. Giving them all away costs nothing."""


def rules(without: frozenset[Lock] = frozenset(), powers: frozenset[Power] = BASE) -> list[Rule]:
    """Write the rules of the exchange without some locks, against an attacker with these powers."""
    return [
        *_attacker(powers),
        *_honest_world(),
        *_client(without, powers),
        *_enclave(without),
        *_device(without),
        *_queries(),
        *(_afterwards(powers) if {Power.ALL_LATER, Power.KEM_KEY_KEPT} & powers else ()),
    ]


def _rule(actor: str, words: str, *premises: str, then: str) -> Rule:
    return parse_rule(actor, words, f"{', '.join(premises)} -> {then}")


def _attacker(powers: frozenset[Power]) -> list[Rule]:
    """What the attacker can compute (Dolev and Yao), and what it has been given."""
    found = _computations("att", "")
    found += [
        # Two boxes of one key and number, of which the attacker has both: with AES-GCM that gives the key away.
        _rule("attacker", "uses a nonce that was used twice",
              "att(box(K, N, ad_request(A), M))", "att(box(K, N, ad_answer(B, R), L))", then="att(K)"),
        *(_rule("attacker", f"reads {what}", f"att({term})", then="att(X)") for what, term in (
            ("a quote", "quote(A, C, X)"), ("signed claims", "sig(K, L, X)"), ("claims", "claims(L, X, D, I)"),
            ("a tree", "node(X, Y)"), ("a tree", "node(Y, X)"),
        )),
        *(_rule("everybody", "knows", then=f"att({name})") for name in _PUBLIC),
        *(_rule("everybody", "knows", then=f"att({term})") for term in _NO_SECRET),
        _rule("client", "says hello with", then="att(nc(R, Session, D))"),
        _rule("attacker", "has a key of its own", then="att(own_key)"),
    ]  # fmt: skip
    given = {
        Power.FOREIGN_PLATFORM: ["ak(m2)"],
        Power.OWN_PLATFORM: ["ak(m3)"],
        Power.OTHER_INSTANCE: ["ik(i2)"],
        Power.OTHER_DEPLOYMENT: ["dk(b)", "ik(i4)"],
        Power.EXPIRED_INSTANCE: ["ik(i5)"],
        Power.OTHER_SESSIONS: ["kc(leaky, Session, D)"],
        Power.WHOLE_INSTANCE: ["ak(m3)", "ik(i3)"],
        Power.DEPLOYMENT_KEY: ["dk(a)"],
    }
    for power, keys in given.items():
        if power in powers:
            found += [_rule("leak", f"{power.value}:", then=f"att({key})") for key in keys]
    if Power.OTHER_CODE in powers:
        found.append(
            _rule("platform m1", "quotes the attacker's code", "att(X)", then="att(quote(ak(m1), other_code, X))")
        )
    return found


def _computations(known: str, when: str) -> list[Rule]:
    found = []
    for name, arity in _CONSTRUCTORS.items():
        parts = [f"X{i}" for i in range(arity)]
        found.append(
            _rule(
                "attacker",
                f"makes{when}",
                *(f"{known}({part})" for part in parts),
                then=f"{known}({name}({', '.join(parts)}))",
            )
        )
    return [
        *found,
        _rule(
            "attacker",
            f"opens{when}, with the key, what was sealed to it",
            f"{known}(seal(pk(K), I, S))",
            f"{known}(K)",
            then=f"{known}(S)",
        ),
        _rule(
            "attacker",
            f"opens{when} a box whose key it has",
            f"{known}(box(K, N, A, M))",
            f"{known}(K)",
            then=f"{known}(M)",
        ),
    ]


def _afterwards(powers: frozenset[Power]) -> list[Rule]:
    """A second phase: sessions are over, the attacker has kept everything, and long-term keys leak."""
    leaked = ["dk(D)", "ik(I)", "ak(M)"]
    if Power.KEM_KEY_KEPT in powers:
        leaked.append("kc(R, Session, D)")
    return [
        _rule("attacker", "keeps", "att(X)", then="att_later(X)"),
        *_computations("att_later", " later"),
        *(_rule("leak", "afterwards:", then=f"att_later({key})") for key in leaked),
        _rule("query", "has the user's data, later", "att_later(data(target, a))", then="bad_later"),
    ]


def _honest_world() -> list[Rule]:
    """Who exists: clients with a pin, genuine instances, their certificates (5)."""
    found = [
        _rule("world", "a client pins a deployment", then=f"client({role}, {pin})")
        for role in ("target", "leaky", "device")
        for pin in "ab"
    ]
    for instance, (deployment, machine) in [*_INSTANCES.items(), ("i5", ("a", "m3"))]:
        when = "past" if instance == "i5" else "now"
        if instance != "i5":
            found.append(
                _rule(
                    "world", "an instance runs the accepted code", then=f"instance({instance}, {deployment}, {machine})"
                )
            )
        statement = f"cert(pk(dk({deployment})), pk(ik({instance})), {machine}, {when})"
        signed = f"att(sig(dk({deployment}), l_certificate, {statement}))"
        found.append(_rule(f"deployment {deployment}", "certifies", then=signed))
    return found


class _Words:
    """The terms that client and enclave both compute, as the locks in force make them."""

    def __init__(self, without: frozenset[Lock]) -> None:
        self.off = without
        self.client_attests = "l_server_attests" if Lock.ROLE_LABELS in without else "l_client_attests"
        self.claims_client = "claims_server" if Lock.ROLE_LABELS in without else "claims_client"
        self.s2c = "l_c2s" if Lock.DIRECTION_KEYS in without else "l_s2c"

    def info(self, nonce: str, key: str, wish: str) -> str:
        return "none" if Lock.HPKE_INFO in self.off else f"info({nonce}, {key}, {wish})"

    def h(self, nonce: str, key: str, wish: str, sealed: str, deployment_key: str) -> str:
        parts = (
            (Lock.NONCE_IN_H, nonce),
            (Lock.KEM_KEY_IN_H, key),
            (Lock.WISH_IN_H, wish),
            (Lock.SEALED_IN_H, sealed),
            (Lock.DEPLOYMENT_IN_H, deployment_key),
        )
        return f"h({', '.join('none' if lock in self.off else part for lock, part in parts)})"

    def request_label(self, number: str) -> str:
        return f"ad_answer({_ID}, {number})" if Lock.DIRECTION_LABELS in self.off else f"ad_request({_ID})"

    def answer_label(self, number: str) -> str:
        return f"ad_answer({_ID}, {'none' if Lock.REQUEST_NUMBER in self.off else number})"


_ID = "kdf(S, l_id, H)"
_BINDER = "kdf(S, l_server_attests, H)"


def _client(without: frozenset[Lock], powers: frozenset[Power]) -> list[Rule]:
    """A client: hello (2), verdict (6), then requests and answers (7)."""
    words = _Words(without)

    def on(lock: Lock, checked: str, unchecked: str) -> str:
        return unchecked if lock in without else checked

    key, nonce, wish = "pk(kc(Role, Session, D))", "nc(Role, Session, D)", "pk(dk(D))"
    shown = on(Lock.PIN, "pk(dk(D))", "pk(dk(Shown))")  # the deployment key in the core
    sealed_for = f"{key}, {words.info(nonce, key, wish)}"
    if Power.WEAK_SEALING in powers:
        sealed_for = "AnyKey, AnyInfo"
    transcript = words.h(nonce, key, wish, f"seal({sealed_for}, S)", shown)
    found = []
    binder = f"leaf({_BINDER})".replace("H)", f"{transcript})")
    roots = [binder, f"node({binder}, Beside)", f"node(Beside, {binder})"]
    if {Lock.SESSION_BINDING, Lock.INCLUSION} & without:
        roots = ["AnyRoot"]
    found += _shown(without)
    for root in roots:
        claims = (
            f"claims(claims_server, {root}, {on(Lock.CLAIMS_DEPLOYMENT, shown, 'AnyDeployment')}, "
            f"{on(Lock.CLAIMS_INSTANCE, 'pk(Instance)', 'AnyInstance')})"
        )
        premises = [
            "client(Role, D)",
            f"got_sealed({sealed_for}, S)",
            f"got_certificate({on(Lock.PIN, 'D', 'Shown')}, Instance, {on(Lock.MACHINE, 'M', 'AnyMachine')})",
            f"got_quote(M, {on(Lock.REPORT_DATA, claims, 'AnyClaims')})",
            f"got_claims(Instance, {claims})",
        ]
        if Lock.CONFIRMATION not in without:
            premises.append(f"att(kdf(S, l_confirms, {transcript}))")
        if Lock.SESSION_BINDING in without:
            premises.append(f"att(sig(Instance, l_handshake, {transcript}))")
        found.append(
            _rule(
                "client",
                "accepts",
                *premises,
                then=f"accepted(Role, Session, D, S, {transcript}, pk(Instance), M)",
            )
        )
    accepted = "accepted(Role, Session, D, S, H, I, M)"
    for number in ("first", "second"):
        found += [
            _rule("client", "sends its user's data", accepted,
                  then=f"att(box(kdf(S, l_c2s, H), {number}, {words.request_label(number)}, data(Role, D)))"),
            _rule("client", "takes an answer", "accepted(target, Session, a, S, H, I, M)",
                  f"att(box(kdf(S, {words.s2c}, H), Counter, {words.answer_label(number)}, Answer))",
                  then=f"end_answer(H, {number}, Answer)"),
        ]  # fmt: skip
    return found


def _shown(without: frozenset[Lock]) -> list[Rule]:
    """What a client takes for a sealed secret, a certificate, a quote, signed claims: each verified by itself."""

    def on(lock: Lock, checked: str, unchecked: str) -> str:
        return unchecked if lock in without else checked

    certificate = (
        f"cert({on(Lock.CERTIFICATE_DEPLOYMENT, 'pk(dk(D))', 'AnyDeployment')}, pk(Instance), M, "
        f"{on(Lock.EXPIRY, 'now', 'AnyTime')})"
    )
    signed = "att(pk(Instance))"
    if Lock.CERTIFICATE_SIGNATURE not in without:
        signed = f"att(sig(dk(D), l_certificate, {certificate}))"
    return [
        _rule("client", "is shown a sealed secret", "att(seal(K, I, S))", then="got_sealed(K, I, S)"),
        _rule("client", "is shown a certificate", signed, then="got_certificate(D, Instance, M)"),
        _rule(
            "client",
            "is shown a quote",
            f"att(quote(ak(M), {on(Lock.CODE, 'code', 'AnyCode')}, Claims))",
            then="got_quote(M, Claims)",
        ),
        _rule(
            "client",
            "is shown claims",
            on(Lock.CLAIMS_SIGNATURE, "att(sig(Instance, l_claims, Claims))", "att(Claims)"),
            then="got_claims(Instance, Claims)",
        ),
    ]


def _enclave(without: frozenset[Lock]) -> list[Rule]:
    """A genuine instance: seals a secret (3), quotes batches (4), answers requests (7). It keeps no other secrets."""
    words = _Words(without)
    drawn = "s(I, Run, N, K, W)"
    sealed = f"seal(K, {words.info('N', 'K', 'W')}, {drawn})"
    transcript = words.h("N", "K", "W", sealed, "pk(dk(D))")
    served = "served(I, D, M, S, H)"
    second = "served(I, D, M, T, G)"
    other_binder = "kdf(T, l_server_attests, G)"
    found = [
        _rule("enclave", "takes a hello", "instance(I, D, M)", "att(N)", "att(K)", "att(W)",
              f"begin_agree({transcript}, {drawn}, pk(dk(D)), pk(ik(I)), M)",
              then=f"served(I, D, M, {drawn}, {transcript})"),
        _rule("enclave", "seals a fresh secret to the key in the hello",
              "instance(I, D, M)", "att(N)", "att(K)", "att(W)",
              f"begin_agree({transcript}, {drawn}, pk(dk(D)), pk(ik(I)), M)", then=f"att({sealed})"),
        _rule("enclave", "confirms", served, then="att(kdf(S, l_confirms, H))"),
        _rule("enclave", "quotes a batch of one", served, then=f"batch(I, D, M, leaf({_BINDER}))"),
        _rule("enclave", "quotes a batch of two", served, second,
              then=f"batch(I, D, M, node(leaf({_BINDER}), leaf({other_binder})))"),
        _rule("enclave", "answers", served,
              f"att(box(kdf(S, l_c2s, H), Number, {words.request_label('Number')}, Request))",
              "begin_answer(H, Number, reply(Number, Request))",
              then=f"att(box(kdf(S, {words.s2c}, H), Number, {words.answer_label('Number')}, reply(Number, Request)))"),
    ]  # fmt: skip
    if Lock.OWN_LEAVES in without:
        found.append(_rule("enclave", "quotes a batch with a leaf that came from outside", served, "att(Leaf)",
                           then=f"batch(I, D, M, node(leaf({_BINDER}), Leaf))"))  # fmt: skip
    claims = "claims(claims_server, Root, pk(dk(D)), pk(ik(I)))"
    found += [
        _rule("enclave", "shows its quote", "batch(I, D, M, Root)", then=f"att(quote(ak(M), code, {claims}))"),
        _rule(
            "enclave", "shows its claims, signed", "batch(I, D, M, Root)", then=f"att(sig(ik(I), l_claims, {claims}))"
        ),
    ]
    if Lock.SESSION_BINDING in without:
        found.append(
            _rule("enclave", "signs the session with its instance key", served, then="att(sig(ik(I), l_handshake, H))")
        )
    return found


def _device(without: frozenset[Lock]) -> list[Rule]:
    """Mutual attestation: a client with an enclave, on m4, attests inside the channel, and a server judges that."""
    words = _Words(without)
    binder = f"leaf(kdf(S, {words.client_attests}, H))"

    def evidence(root: str, machine: str, key: str) -> str:
        return f"quote(ak({machine}), code, claims({words.claims_client}, {root}, pk(dk(D)), {key}))"

    def message(content: str) -> str:
        return f"att(box(kdf(S, l_c2s, H), for_evidence, {words.request_label('for_evidence')}, {content}))"

    device = ("accepted(device, Session, D, S, H, I, M)", "begin_device(H, S, m4)")
    found = [
        _rule("device", "attests inside the channel", *device, then=message(evidence(binder, "m4", "pk(ik(device))"))),
        _rule("device", "lets the world see its evidence, too", *device,
              then=f"att({evidence(binder, 'm4', 'pk(ik(device))')})"),
        *(_rule("world", "may be a device:", then=f"device_machine({machine})") for machine in ("m4", "m1")),
    ]  # fmt: skip
    keys = {"pk(own_key)", "pk(ik(device))", *(f"pk(ik({instance}))" for instance in _INSTANCES)}
    for instance in _INSTANCES:
        found += [
            _rule("world", "two keys differ", then=f"other_than({instance}, {key})")
            for key in sorted(keys - {f"pk(ik({instance}))"})
        ]
    judged = "AnyRoot" if Lock.DEVICE_BINDING in without else binder
    premises = ["served(I, D, M, S, H)", message(evidence(judged, "Machine", "Key"))]
    if Lock.DEVICE_MACHINES not in without:
        premises.append("device_machine(Machine)")
    if Lock.OWN_EVIDENCE_REFUSED not in without:
        premises.append("other_than(I, Key)")
    return [*found, _rule("enclave", "accepts a device", *premises, then="end_device(H, S, Machine)")]


def _queries() -> list[Rule]:
    accepted = "accepted(target, Session, a, S, H, I, M)"
    return [
        _rule("query", "has the user's data", "att(data(target, a))", then="bad_user_data"),
        _rule("query", "has an answer", "att(reply(Number, data(target, a)))", then="bad_answer"),
        _rule("query", "has the secret", accepted, "att(S)", then="bad_session_secret"),
        _rule("query", "has accepted", accepted, then="end_agree(H, S, pk(dk(a)), I, M)"),
    ]
