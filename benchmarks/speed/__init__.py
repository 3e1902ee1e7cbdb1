"""The rooms of `benchmarks/gpu.py` and of what it runs: how fast a trial trains and is evaluated.

cases.py       which networks, batches and counts are measured, on a CPU core and on a GPU
ours.py        one of our steps, as training runs it
official.py    one step of I-JEPA's published code, from a checkout that the user points to
stages.py      which part of a step its time goes to, by hooks on the modules themselves
contender.py   a step that can be timed, whoever wrote it
clock.py       seconds of a device, contenders in turns, waits of the host
photos.py      JPEG files like ImageNet's
options.py     the options that all of them have
rows.py        rows in a file, each written when it is measured
outcomes.py    a plugin of pytest: each test is a row
gpu_report.py  the report of `benchmarks/gpu.py`, targets among it
machine.py     the hardware, versions and date that stand under every figure
"""
