"""A first ablation, interrupted on purpose, with its answer: on this machine, and on a SLURM in a box."""
