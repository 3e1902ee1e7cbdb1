"""The Hydra tree of every setting, and the packaged sweeps in `ablation/`. A package so that it travels; no code."""
