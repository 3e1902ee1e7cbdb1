"""The files of a root, which are the source of truth: their paths, reading and appending.

layout.py        every path
journal.py       append to and read a trial's journals and control events
scan.py          the status of every trial, read again when its files change
selection.py     trials by their settings
logs.py          ends of logs, errors in them, pictures
checkpoints.py   which checkpoints are valid, and which are no longer needed
slurm_seen.py    what SLURM last reported of each job
"""
