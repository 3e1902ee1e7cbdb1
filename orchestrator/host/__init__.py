"""What a machine and its site offer.

slurm.py            what we ask of SLURM: a command and a parser each
locks.py            locks that die with their holder
environment.py      variables, changed for a while
signals.py          a flag that SIGTERM and its like raise
provenance.py       where a result comes from
system_metrics.py   processor, memory, GPUs
redact.py           addresses without passwords
console.py          the terminal; progress.py bars on it
"""
