"""The rooms of `benchmarks/orchestrator.py`: how the orchestrator bears sweeps of ten thousand trials.

bench.py       what a part is given, what it answers: a fresh folder, commands as real processes, rows
roots.py       roots as planners and workers leave them, made without training
planning.py    plan, and submitting the same sweep again
looking.py     `iwm status`, warm and on a root that was never looked at
memory.py      the process that reconciles and sends to MLflow

A part is a function from `Bench` to rows, entered in the table of `benchmarks/orchestrator.py`.
"""
