"""From a sweep file and overrides to trials, to what would be done about each, and to how long it takes.

expand.py        a sweep's YAML and overrides -> trials
sweepfile.py     reads the YAML (yaml_lines.py knows its lines); catalogue.py finds what there is to choose from
overrides.py     Hydra's grammar; composer.py where Hydra composes a trial, composition.py merges without it
axes.py          the algebra of axes: zipped, conditional, excluded
protocols.py     what is measured of each trained trial; evaluation.py a trial that evaluates another
limits.py        settings that cannot work
plan.py          what submitting would do
forecast.py      how long work will take, from comparable trials
"""
