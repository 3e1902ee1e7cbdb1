"""The end of a log, without what is said of every job."""

from orchestrator.last_words import last_words

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


def logs(folder, *texts):
    for number, text in enumerate(texts):
        (folder / f"{number}.err").write_text(text)
    return [folder / f"{number}.err" for number in range(len(texts))]


def test_the_last_lines_of_a_traceback(tmp_path):
    assert last_words(logs(tmp_path, JOB)) == (
        'File "/code/orchestrator/worker.py", line 1, in <module> | import a_module_that_is_gone | '
        "ModuleNotFoundError: No module named 'a_module_that_is_gone'"
    )


def test_the_last_file_that_says_anything(tmp_path):
    files = logs(tmp_path, JOB, MEMORY, "srun: nothing of note\n", "")
    assert last_words([*files, tmp_path / "absent"]) == "slurmstepd-n1: error: Exceeded job memory limit"
    assert last_words(files[2:]) == ""


def test_an_error_counts_more_than_what_comes_after_it(tmp_path):
    said = "2026-11-21 06:12:51,721 ERROR cannot journal 'OSError: full'"
    more = "2026-11-21 06:12:52,063 ERROR Could not dump error:\nFile too large\n\nbecause of [Errno 27] File too large"
    cut = "Traceback (most recent call last):\n  File"
    assert last_words(logs(tmp_path, f"{said}\n{more}\n{cut}")) == said


def test_a_long_log_is_read_from_its_end(tmp_path):
    said = last_words(logs(tmp_path, "".join(f"word {number}\n" for number in range(100_000))))
    assert said == "word 99997 | word 99998 | word 99999"
