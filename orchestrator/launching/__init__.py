"""Starting trials and looking after them.

leases.py         the right to start a trial
dependency.py     what a trial waits for
decisions.py      what was written and what is seen -> what to do                                              [pure]
lost_jobs.py      writes a decision down; finds jobs that no trial waits for
slots.py          this machine: workers in slots, and one look at them
keeper.py         the process that keeps the slots filled
foreground.py     `iwm train`
hydra_job.py      a trial in a job that Hydra started
batch.py          what one sbatch starts, as a value                                                           [pure]
slurm_arrays.py   claims, then arrays; a submitter killed in between loses and doubles nothing
slurm_queue.py    what SLURM says of our jobs
slurm_jobs.py     one look at the trials whose jobs are SLURM's; hold, release, cancel
"""
