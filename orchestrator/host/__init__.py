"""The machine and its site.

slurm.py            SLURM's commands and their parsers
locks.py            locks that end with the process that holds them
environment.py      environment variables, changed for a block
signals.py          a stop flag that signals such as SIGTERM set
provenance.py       the code, packages and machine behind a result
system_metrics.py   processor, memory, GPUs
redact.py           URLs without passwords
console.py          the terminal; progress.py progress bars
"""
