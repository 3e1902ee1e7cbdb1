"""A first ablation, interrupted on purpose, with its findings: on this machine, and on a SLURM in a box."""
