from pathlib import Path

import pytest

from orchestrator.errors import OverrideError
from orchestrator.planning.axes import points
from orchestrator.planning.protocols import Protocol
from orchestrator.planning.sweepfile import BYTES_MAX, parse, read

EVERYTHING = """
description: >
  two
  lines
overrides: [photometric=demo]
axes:
  conditioning: [none, feature]
  optim.lr: [1e-3, 3.e-4, 1]
zipped:
  - {encoder: [small, base], train.steps: [1, 2]}
conditional:
  - {when: {conditioning: feature}, axes: {conditioning.layers: [1, 2]}}
exclude:
  - {encoder: base, optim.lr: [1, 1e-3]}
seeds: 2
"""


def test_everything_that_a_sweep_can_say():
    file = parse(EVERYTHING, where="some/where.yaml")
    assert (file.name, file.description, file.overrides) == ("where", "two lines", ("photometric=demo",))
    keys = ("conditioning", "optim.lr", "encoder", "train.steps", "conditioning.layers", "seed")
    assert file.design.keys == keys
    found = list(points(file.design))
    assert len(found) == 2 * (3 + 1) + 2 * 2 * (3 + 1)
    assert found[0] == {"conditioning": "none", "optim.lr": 1e-3, "encoder": "small", "train.steps": 1, "seed": 0}
    assert file.design.bundles[1].rows == ((1e-3,), (3e-4,), (1,))


def test_a_protocol_is_a_label_with_overrides_and_a_condition():
    entries = ("knn:", "b: [x=1]", "c: {overrides: [x=2], when: {a: 2}}", "d: {when: [{a: 1}, {a: 2}]}")
    said = "\n  ".join(["axes: {a: [1, 2]}\nprotocols:", *entries])
    assert parse(said, where="x.yaml").protocols == (
        Protocol("knn"),
        Protocol("b", ("x=1",)),
        Protocol("c", ("x=2",), ({"a": (2,)},)),
        Protocol("d", (), ({"a": (1,)}, {"a": (2,)})),
    )


def test_a_file_without_axes_is_one_trial():
    assert list(points(parse("", where="x.yaml").design)) == [{}]


@pytest.mark.parametrize(
    ("text", "line", "setting"),
    [
        ("axes:\n  a: [1\nb: 2", 3, "line 3"),
        ("name: x\naxis: {}", 2, "axis"),
        ("axes: {}\naxes: {}", 2, "line 2"),
        ("- a", 1, ""),
        ("name: a/b", 1, "name"),
        ("axes:\n  a: 3", 2, "axes.a"),
        ("axes:\n  a: []", 2, "axes.a"),
        ("axes:\n  b: [1]\n  a: [[1]]", 3, "axes.a"),
        ("overrides: [1]", 1, "overrides"),
        ("seeds: 0", 1, "seeds"),
        ("seeds: [0, a]", 1, "seeds"),
        ("axes: {seed: [0]}\nseeds: 3", 2, "seeds.seed"),
        ("axes: {a: [0]}\nzipped:\n  - {b: [1], a: [1]}", 3, "zipped.0.a"),
        ("zipped:\n  - {a: [1], b: [1, 2]}", 2, "zipped.0"),
        ("conditional:\n  - when: {b: 1}\n    axes: {a: [1]}", 2, "conditional.0.when.b"),
        ("conditional:\n  - axes: {a: [1]}", 2, "conditional.0"),
        ("conditional:\n  - {wenn: 1}", 2, "conditional.0.wenn"),
        ("protocols: [linear]", 1, "protocols"),
        ("protocols:\n  linear: 3", 2, "protocols.linear"),
        ("protocols:\n  a b:", 2, "protocols.a b"),
        ("protocols:\n  linear: {wenn: 1}", 2, "protocols.linear.wenn"),
        ("protocols:\n  linear: {when: {b: 1}}", 2, "protocols.linear.when.b"),
        ("axes: {a: [1]}\nexclude:\n  - {a: 1, b: 1}", 3, "exclude.0.b"),
    ],
)
def test_a_mistake_is_answered_with_its_line(text, line, setting):
    with pytest.raises(OverrideError) as caught:
        parse(text, where="x.yaml")
    assert str(caught.value).startswith(f"x.yaml, line {line}: ")
    assert (caught.value.setting, caught.value.path) == (setting, Path("x.yaml"))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "long.yaml").write_bytes(b"description: " + b"x" * BYTES_MAX)
    for path in (tmp_path, tmp_path / "x.yaml", tmp_path / "long.yaml", Path("/dev/zero")):
        with pytest.raises(OverrideError) as caught:
            read(path)
        assert caught.value.path == path
