"""What a reader finds in a trial's folder."""

from pathlib import Path

from orchestrator.records.layout import TrialFolder
from orchestrator.records.logs import error_summary, log_tails, pictures, plain_files


def test_the_newest_logs_end_as_they_stood(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "1.err").write_text("".join(f"line {at}\n" for at in range(100)))
    (logs / "1.out").touch()
    (logs / "3_result.pkl").write_bytes(b"\0 of submitit, and newer")
    (logs / "2.err").write_text("step 1\rstep 2\rstep 3\nend\n")
    (newest, text), (older, more) = log_tails(TrialFolder(tmp_path), lines=5)
    assert (newest, text) == ("2.err", "step 3\nend")
    assert (older, more) == ("1.err", "\n".join(f"line {at}" for at in range(95, 100)))
    assert log_tails(TrialFolder(tmp_path / "nowhere")) == ()


def test_links_are_not_followed(tmp_path):
    folder = tmp_path / "trial" / "logs"
    folder.mkdir(parents=True)
    (folder / "real").write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    assert plain_files(folder) == [folder / "real"]
    (tmp_path / "trial" / "pictures").symlink_to(folder)
    (tmp_path / "other").symlink_to(tmp_path / "trial")
    assert plain_files(tmp_path / "trial" / "pictures") == plain_files(tmp_path / "other" / "logs") == []


def test_a_log_that_cannot_be_read_is_left_out(on_disk, monkeypatch):
    folder = on_disk.trial()
    folder.logs.mkdir()
    for name in ("1.out", "2.out"):
        (folder.logs / name).write_text(f"{name}\n")

    def refuses(file, *words, **more):
        if file.name == "2.out":
            raise PermissionError(13, "Permission denied")
        return opened(file, *words, **more)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuses)
    assert log_tails(folder) == (("1.out", "1.out"),)


def test_pictures_are_found_by_name_and_links_are_not(on_disk, tmp_path):
    folder = on_disk.trial()
    assert pictures(folder) == {}
    folder.pictures.mkdir()
    for name in ("b.png", "a.png", ".hidden.png", "notes.txt"):
        (folder.pictures / name).write_bytes(b"")
    (folder.pictures / "c.png").symlink_to(tmp_path)
    assert list(pictures(folder).items()) == [(name, folder.pictures / name) for name in ("a.png", "b.png")]


JOB = """\
srun: error: n1: task 0: Exited with exit code 1
submitit ERROR (2026-11-21 06:12:51,721) - Submitted job triggered an exception
2026-11-21 06:12:51,721 INFO leaving: the trial is held
Traceback (most recent call last):
  File "/code/orchestrator/worker.py", line 1, in <module>
    import a_module_that_is_gone
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'a_module_that_is_gone'

slurmstepd-n1: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-11-21T06:12:53 ***
"""
MEMORY = "slurmstepd-n1: error: Exceeded job memory limit\nslurmstepd-n1: error: Exceeded job memory limit\n"


def written(folder, *texts):
    for number, text in enumerate(texts):
        (folder / f"{number}.err").write_text(text)
    return [folder / f"{number}.err" for number in range(len(texts))]


def test_the_last_lines_of_a_traceback(tmp_path):
    assert error_summary(written(tmp_path, JOB)) == (
        'File "/code/orchestrator/worker.py", line 1, in <module> | import a_module_that_is_gone | '
        "ModuleNotFoundError: No module named 'a_module_that_is_gone'"
    )


def test_the_last_file_that_says_anything(tmp_path):
    files = written(tmp_path, JOB, MEMORY, "srun: nothing of note\n", "")
    assert error_summary([*files, tmp_path / "absent"]) == "slurmstepd-n1: error: Exceeded job memory limit"
    assert error_summary(files[2:]) == ""


def test_an_error_counts_more_than_what_comes_after_it(tmp_path):
    said = "2026-11-21 06:12:51,721 ERROR cannot journal 'OSError: full'"
    more = "2026-11-21 06:12:52,063 ERROR Could not dump error:\nFile too large\n\nbecause of [Errno 27] File too large"
    cut = "Traceback (most recent call last):\n  File"
    assert error_summary(written(tmp_path, f"{said}\n{more}\n{cut}")) == said


def test_a_long_log_is_read_from_its_end(tmp_path):
    said = error_summary(written(tmp_path, "".join(f"word {number}\n" for number in range(100_000))))
    assert said == "word 99997 | word 99998 | word 99999"
