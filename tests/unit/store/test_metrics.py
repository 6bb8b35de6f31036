"""Figures and traces: what happened, how it ended and how long it took; who did it, never."""

import re

import httpx2
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from strongroom.base.errors import NotAuthorised, StorageUnavailable
from strongroom.cli.figures import metrics_listener
from strongroom.cli.telemetry import traces
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.metrics import STEP_SECONDS, Metrics
from strongroom.store.observers import ObservedStorage, Observers, UnobservedStore

SECRET = "zürich-4711-geheim"


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def exercise(observer):
    """Let one of each kind succeed and one fail, with words in the failure that nobody may see."""
    for work in (
        lambda: observer.request("vault_fetch"),
        lambda: observer.storage("write"),
        lambda: observer.exchange("attested"),
        lambda: observer.quote(3),
    ):
        with work():
            pass
        with pytest.raises(NotAuthorised), work():
            raise NotAuthorised(SECRET)
        with pytest.raises(RuntimeError), work():
            raise RuntimeError(SECRET)


def test_what_is_counted_and_what_is_not_named():
    clock = Clock()
    metrics = Metrics(clock)
    exercise(metrics)
    metrics.watch_channels(lambda: 7)
    metrics.watch_collateral(lambda: 1.9e9)
    text = metrics.text().decode()
    for line in (
        'strongroom_requests_total{outcome="ok",route="vault_fetch"} 1.0',
        'strongroom_requests_total{outcome="not-authorised",route="vault_fetch"} 1.0',
        'strongroom_requests_total{outcome="failed",route="vault_fetch"} 1.0',
        'strongroom_storage_transactions_total{kind="write",outcome="ok"} 1.0',
        'strongroom_exchanges_total{kind="attested",outcome="not-authorised"} 1.0',
        'strongroom_quotes_total{outcome="failed"} 1.0',
        "strongroom_quote_leaves_sum 3.0",
        "strongroom_channels 7.0",
        "strongroom_collateral_expires_seconds 1.9e+09",
        "strongroom_requests_in_progress 0.0",
    ):
        assert line in text, line
    assert SECRET not in text


def test_labels_are_names_of_our_own_and_their_number_is_bounded():
    metrics = Metrics(Clock())
    exercise(metrics)
    labels = set(re.findall(r'([a-z_]+)="', metrics.text().decode()))
    assert labels <= {"route", "outcome", "kind", "version", "le"}


def test_figures_move_in_steps():
    clock = Clock()
    metrics = Metrics(clock)
    first = metrics.text()
    with metrics.request("vault_fetch"):
        pass
    assert metrics.text() == first
    clock.seconds = STEP_SECONDS
    assert b'route="vault_fetch"' in metrics.text()


def test_a_failing_transaction_is_counted_and_passed_on():
    metrics = Metrics(Clock())
    inner = MemoryRecordStore()
    storage = ObservedStorage(inner, Observers(metrics, UnobservedStore()))
    with storage.read(), storage.write():
        pass
    storage.close()
    with pytest.raises(StorageUnavailable), storage.read():
        pass
    text = metrics.text().decode()
    assert 'strongroom_storage_transactions_total{kind="read",outcome="storage-unavailable"} 1.0' in text


def test_the_listener_answers_one_path():
    with metrics_listener("127.0.0.1", 0, lambda: b"figures 1\n") as url, httpx2.Client(trust_env=False) as client:
        answer = client.get(url)
        assert answer.text == "figures 1\n"
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert client.get(url.replace("/metrics", "/other")).status_code == 404
        assert client.post(url).status_code == 501
    with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError):
        client.get(url)


def test_spans_name_routes_and_outcomes_and_nobody():
    exporter = InMemorySpanExporter()
    with traces(exporter) as observer:
        exercise(observer)
        with observer.request("vault_append"), observer.storage("write"):
            pass
    spans = exporter.get_finished_spans()
    assert {span.name for span in spans} == {"request", "storage", "exchange", "quote"}
    outcomes = {span.attributes["strongroom.outcome"] for span in spans}
    assert outcomes == {"ok", "not-authorised", "failed"}
    storage, request = spans[-2:]
    assert storage.parent.span_id == request.context.span_id
    for span in spans:
        assert not span.events
        assert not span.status.description
        assert SECRET not in span.to_json()
        assert dict(span.resource.attributes) == {"service.name": "strongroom"}
