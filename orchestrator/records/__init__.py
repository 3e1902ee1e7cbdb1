"""The files of a root, which are the truth: where they lie, and reading and appending them.

layout.py        where everything lies
journal.py       append and read what a trial's folder holds
scan.py          the status of every trial, read again where its files changed
selection.py     trials by their settings
logs.py          ends of logs, errors in them, pictures
checkpoints.py   which can be trusted, and which nobody needs
slurm_seen.py    what SLURM last said of each job
"""
