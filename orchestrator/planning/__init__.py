"""From a sweep file and overrides to trials, the action for each, and how long they take.

expand.py        a sweep's YAML and overrides -> trials; the evaluation of a trial
sweepfile.py     reads the YAML (yaml_lines.py with line numbers); catalogue.py lists sweeps, groups and settings
overrides.py     Hydra's grammar; composer.py composes a trial with Hydra, composition.py merges settings without it
axes.py          the algebra of axes: zipped, conditional, excluded
protocols.py     what is measured of each trained trial
limits.py        limits of settings
plan.py          what submitting does to each trial
forecast.py      how long work will take, from comparable trials
"""
