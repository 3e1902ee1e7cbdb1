"""Documentation is executed: the CLI reference is generated, the README's commands run, its tree exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from docs import generate
from orchestrator.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
LINES = [line.partition("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def test_the_cli_reference_is_what_the_help_says():
    assert generate.FILE.read_text() == generate.reference(), "run: make docs"


@pytest.mark.parametrize("verb", generate.verbs())
def test_every_verb_has_help_and_is_in_the_reference(verb):
    command = get_command(app)
    for name in verb.split():
        command = command.commands[name]  # type: ignore[attr-defined]
    assert command.help
    assert f"## iwm {verb}\n" in generate.FILE.read_text()


def test_the_readme_has_two_commands_first():
    assert [line for line in LINES if line.startswith("make")][:2] == ["make demo", "make test"]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_make_targets_of_the_readme_exist(line):
    subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_the_readme_s_iwm_commands_run_in_their_order(tmp_path):
    for line in LINES:
        if line.startswith("iwm "):
            words = [sys.executable, "-m", "orchestrator.cli", *shlex.split(line)[1:]]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
            assert done.returncode == 0, (line, done.stderr)


def test_the_annotated_tree_names_what_there_is():
    (tree,) = re.findall(r"```text\n(orchestrator/.*?)```", README, flags=re.DOTALL)
    paths = re.findall(r"^ *([\w./]+/[\w.]*|[\w.]+\.\w+|Makefile)", tree, flags=re.MULTILINE)
    folder, missing = "", []
    for path, line in zip(paths, [line for line in tree.splitlines() if line.strip()], strict=True):
        folder = path if not line.startswith(" ") else folder
        where = ROOT / path if not line.startswith(" ") else ROOT / folder / path
        missing += [] if where.exists() else [str(where)]
    assert not missing


def test_the_annotated_tree_names_every_room():
    (rooms,) = re.findall(r"^orchestrator/.*?(?=^\S)", README, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"^  (\w+)", rooms, flags=re.MULTILINE))
    there = {path.stem for path in (ROOT / "orchestrator").iterdir() if not path.name.startswith("_")}
    assert named == there


@pytest.mark.parametrize("path", [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("http") or (path.parent / target).exists(), target


@pytest.mark.parametrize("file", ["docs/glossary.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(file):
    named = re.findall(r"`((?:orchestrator|iwm_core|dashboards|tests)/[\w/.]+)`", (ROOT / file).read_text())
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_index_lists_every_page():
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / "index.md").read_text()))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_no_verb_s_summary_is_cut_at_80_columns():
    lists = re.findall(r"^Commands:\n((?:  .*\n)+)", generate.reference(), flags=re.MULTILINE)
    assert len(lists) == 2  # of `iwm` and of `iwm cluster`
    assert not [line for verbs in lists for line in verbs.splitlines() if line.endswith("...")]
