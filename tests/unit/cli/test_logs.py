"""The log: our own sentences and allowed fields; of a library's message and of an exception's text, nothing."""

import json
import logging
import sys

import pytest

from strongroom.cli.logs import JsonFormatter, TextFormatter

SECRET = "zürich-4711-geheim"


def record(name: str, message: str, *arguments: object, failing: bool = False, **extra: object) -> logging.LogRecord:
    information = None
    if failing:
        try:
            int(SECRET)
        except ValueError:
            information = sys.exc_info()
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, message, arguments, information)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_librarys_message_is_withheld(formatter: logging.Formatter) -> None:
    for made in (record("uvicorn.error", SECRET), record("asyncio", "%s", SECRET), record("py.warnings", SECRET)):
        line = formatter.format(made)
        assert SECRET not in line
        assert f"a message of {made.name} is withheld" in line


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
@pytest.mark.parametrize("name", ["strongroom.store.http", "uvicorn.error"])
def test_of_an_exception_its_type_is_kept(formatter: logging.Formatter, name: str) -> None:
    line = formatter.format(record(name, "something failed", failing=True))
    assert SECRET not in line
    assert "(ValueError)" in line


def test_fields_that_are_not_allowed_are_left_out() -> None:
    made = record("strongroom.store", "done", route="vault_fetch", username=SECRET, code={"x": SECRET}, count=3)
    shown = json.loads(JsonFormatter().format(made))
    assert set(shown) == {"time", "level", "logger", "message", "route", "count"}
    assert (shown["message"], shown["level"], shown["route"], shown["count"]) == ("done", "warning", "vault_fetch", 3)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_record_is_one_line_whatever_it_holds(formatter: logging.Formatter) -> None:
    for made in (record("strongroom", "a\nb\x1b[31m%s", "c\r\n"), record("strongroom", "%d", "not a number")):
        line = formatter.format(made)
        assert line.isprintable()


def test_a_name_that_only_begins_like_ours_is_a_librarys() -> None:
    assert "withheld" in TextFormatter().format(record("strongroomish", SECRET))
