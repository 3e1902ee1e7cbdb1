"""The parts of `benchmarks/orchestrator.py`: the orchestrator on sweeps of ten thousand trials.

bench.py       a part's input and output: a fresh folder, commands as real processes, rows
roots.py       roots as planners and workers leave them, made without training
verbs.py       plan, submit again, status, and the memory of the process that reconciles and sends to MLflow
queueing.py    a real SLURM in a box: submit, one reconciler pass, other tools for comparison
browsing.py    the pages beside the MLflow UI
command.py     the shared options and output

A part is a function from `Bench` to rows, listed in the table of `benchmarks/orchestrator.py`.
"""
