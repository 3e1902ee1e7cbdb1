"""Start trials and follow their jobs.

leases.py         the right to start a trial: claims and fencing tokens
dependency.py     a trial that waits for its parent
decisions.py      decide() what to do about a trial from its files and its job; apply() records it
slots.py          this machine: claim trials, start workers, reconcile
keeper.py         the process that keeps the slots filled
foreground.py     a trial in this process: `iwm train`, or a job that Hydra started
batch.py          the value that describes one sbatch call
slurm_arrays.py   claim and submit arrays; a submitter that is killed loses and doubles nothing
slurm_queue.py    our jobs in SLURM's queue: list, hold, release, cancel, orphans
slurm_jobs.py     reconcile the trials that run under SLURM
"""
