"""A tenants file is read, or every mistake is told: nothing in between."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.cli.tenants import declared_in
from bridge.errors import ConfigError
from bridge.services.tenants import Declared, read_declared

EXAMPLE = (Path(__file__).parents[2] / "docs" / "reference" / "tenants.example.toml").read_text()
CALM = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def outcome(look: Callable[[], list[Declared]]) -> None:
    try:
        found: Sequence[object] = look()
    except ConfigError as error:
        found = error.mistakes
    assert found


def read(place: Path, content: bytes) -> None:
    file = place / "tenants.toml"
    file.write_bytes(content)
    outcome(lambda: declared_in(file))


@CALM
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@example(b"a = " + b"[" * 20_000)
@example(b"[[tenants]]\n" + b"a." * 5_000 + b"a = 1")
@example(b"tenants = 1979-05-27")
@example(b"a = " + b"9" * 5_000)
@example(b"[[tenants]]\nslug = 1979-05-27T07:32:00Z")
@example(b"[[tenants]]\nissuing_client.secret = nan")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    read(tmp_path, content)


@CALM
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 30), st.text(max_size=10))
def test_the_example_with_a_hole(tmp_path: Path, begin: int, length: int, put: str) -> None:
    read(tmp_path, (EXAMPLE[:begin] + put + EXAMPLE[begin + length :]).encode(errors="surrogatepass"))


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
NESTED = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@CALM
@given(st.data())
def test_the_example_with_another_value(data: st.DataObject) -> None:
    document = tomllib.loads(EXAMPLE)
    entry = document["tenants"][0]
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(NESTED)
    outcome(lambda: read_declared(document, lambda _: "secret"))
