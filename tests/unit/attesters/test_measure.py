"""The measurement moves with every byte that is run, and with nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strongroom
from strongroom.attesters.measure import Interpreter, measure_package, measured_files
from strongroom.base import canonical
from strongroom.base.errors import AttesterUnavailable, Misconfigured

INTERPRETER = Interpreter(implementation="cpython", version="3.11.7")


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "package"
    (root / "inner").mkdir(parents=True)
    (root / "__init__.py").write_bytes(b"")
    (root / "a.py").write_bytes(b"print('a')\n")
    (root / "inner" / "b.py").write_bytes(b"b = 1\n")
    (root / "py.typed").write_bytes(b"")
    return root


def measured(directory: Path, **configuration: canonical.Value) -> bytes:
    return measure_package(directory, configuration=configuration, interpreter=INTERPRETER)


def test_the_layout_is_the_documented_one(package):
    files = ["__init__.py", "a.py", "inner/b.py", "py.typed"]
    value = {
        "type": "strongroom v1 measurement",
        "files": [[name, hashlib.sha256((package / name).read_bytes()).digest()] for name in files],
        "interpreter": ["cpython", "3.11.7"],
        "configuration": {"tenant": "home", "limit": 5},
    }
    assert measured(package, tenant="home", limit=5) == hashlib.sha256(canonical.encode(value)).digest()


def test_by_default_the_running_package_and_interpreter_are_measured():
    expected = measure_package(Path(strongroom.__file__).parent, interpreter=Interpreter.running())
    assert measure_package() == expected
    assert "attesters/measure.py" in dict(measured_files())


def test_a_copy_measures_the_same(package, tmp_path):
    assert measured(Path(shutil.copytree(package, tmp_path / "copy"))) == measured(package)


def test_bytecode_caches_do_not_count(package):
    before = measured(package)
    (package / "inner" / "__pycache__").mkdir()
    (package / "inner" / "__pycache__" / "b.cpython-311.pyc").write_bytes(b"cache")
    assert measured(package) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "a.py").write_bytes(b"print('b')\n"), id="one byte"),
        pytest.param(lambda root: (root / "py.typed").write_bytes(b"\n"), id="a file that is no module"),
        pytest.param(lambda root: (root / "a.py").rename(root / "c.py"), id="renamed"),
        pytest.param(lambda root: (root / "a.py").rename(root / "inner" / "a.py"), id="moved"),
        pytest.param(lambda root: (root / "new.py").write_bytes(b""), id="added and empty"),
        pytest.param(lambda root: (root / "new.pyc").write_bytes(b""), id="bytecode outside a cache"),
        pytest.param(lambda root: (root / ".hidden").write_bytes(b""), id="hidden"),
        pytest.param(lambda root: (root / "a.py").unlink(), id="removed"),
    ],
)
def test_whatever_is_changed_changes_the_measurement(package, change):
    before = measured(package)
    change(package)
    assert measured(package) != before


def test_configuration_and_interpreter_count(package):
    values = {
        measured(package),
        measured(package, tenant="home"),
        measured(package, tenant="work"),
        measure_package(package, interpreter=Interpreter(implementation="pypy", version="3.11.7")),
        measure_package(package, interpreter=Interpreter(implementation="cpython", version="3.11.8")),
    }
    assert len(values) == 5


@given(flip=st.integers(0, 10 * 8 - 1))
def test_every_bit_counts(tmp_path_factory, flip):
    root = tmp_path_factory.mktemp("bits")
    (root / "a.py").write_bytes(bytes(10))
    before = measured(root)
    changed = bytearray(10)
    changed[flip // 8] ^= 1 << flip % 8
    (root / "a.py").write_bytes(changed)
    assert measured(root) != before


def test_a_link_is_refused_because_its_target_would_run_unmeasured(package, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (package / "linked").symlink_to(outside, target_is_directory=True)
    with pytest.raises(Misconfigured, match="linked"):
        measured(package)


def test_a_named_pipe_is_refused_and_not_waited_for(package):
    os.mkfifo(package / "pipe.py")
    with pytest.raises(Misconfigured, match="pipe"):
        measured(package)


def test_a_name_that_is_not_utf8_is_refused(package):
    Path(os.fsdecode(os.fsencode(package) + b"/\xff.py")).write_bytes(b"")
    with pytest.raises(Misconfigured, match="UTF-8"):
        measured(package)


def test_a_missing_package_is_unavailable(tmp_path):
    with pytest.raises(AttesterUnavailable, match="cannot be measured"):
        measured(tmp_path / "nothing")
