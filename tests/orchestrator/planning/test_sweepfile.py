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
    ("text", "said"),
    [
        ("axes:\n  a: [1\nb: 2", "line 3: broken YAML"),
        ("name: x\naxis: {}", "line 2: unknown key 'axis'; choose from name, description"),
        ("axes: {}\naxes: {}", "line 2: broken YAML: 'axes' comes twice"),
        ("- a", "line 1: a sweep must be 'key: value' pairs"),
        ("name: a/b", "line 1: name 'a/b' must be"),
        ("axes:\n  a: 3", "line 2: 'a' must be a list"),
        ("axes:\n  a: []", "line 2: 'a' must be a list of single values"),
        ("axes:\n  b: [1]\n  a: [[1]]", r"line 3: 'a' must be a list of single values, not \[1\]"),
        ("overrides: [1]", "line 1: 'overrides' must be a list of key=value texts"),
        ("seeds: 0", "line 1: seeds is how many"),
        ("seeds: [0, a]", "line 1: seeds is how many"),
        ("axes: {seed: [0]}\nseeds: 3", "line 2: 'seed' is an axis twice"),
        ("axes: {a: [0]}\nzipped:\n  - {b: [1], a: [1]}", "line 3: 'a' is an axis twice"),
        ("zipped:\n  - {a: [1], b: [1, 2]}", "line 2: zipped axes need .*: a has 1, b has 2"),
        ("conditional:\n  - when: {b: 1}\n    axes: {a: [1]}", "line 2: 'b' is not an axis here; the axes are none"),
        ("conditional:\n  - axes: {a: [1]}", "line 2: a conditional entry needs 'when' and 'axes'"),
        ("conditional:\n  - {wenn: 1}", "line 2: unknown key 'wenn'; choose from when, axes"),
        ("protocols: [linear]", "line 1: 'protocols' must be 'key: value' pairs"),
        ("protocols:\n  linear: 3", "line 2: 'linear' must be a list"),
        ("protocols:\n  a b:", "line 2: the label 'a b' must be letters"),
        ("protocols:\n  linear: {wenn: 1}", "line 2: unknown key 'wenn'; choose from overrides, when"),
        ("protocols:\n  linear: {when: {b: 1}}", "line 2: 'b' is not an axis here; the axes are none"),
        ("axes: {a: [1]}\nexclude:\n  - {a: 1, b: 1}", "line 3: 'b' is not an axis here; the axes are a"),
    ],
)
def test_a_mistake_is_answered_with_its_line(text, said):
    with pytest.raises(OverrideError, match=said) as caught:
        parse(text, where="x.yaml")
    assert str(caught.value).startswith("x.yaml")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(OverrideError, match=r"cannot read the sweep .*: Is a directory"):
        read(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(OverrideError, match="not a text file"):
        read(tmp_path / "x.yaml")
    (tmp_path / "long.yaml").write_bytes(b"description: " + b"x" * BYTES_MAX)
    for endless in (tmp_path / "long.yaml", Path("/dev/zero")):
        with pytest.raises(OverrideError, match="it has more than 1,000,000 bytes"):
            read(endless)
