"""What a machine and its site offer: SLURM's commands and parsers, locks, signals, provenance, the terminal."""
