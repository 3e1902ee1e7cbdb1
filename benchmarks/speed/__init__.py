"""The parts of `benchmarks/gpu.py` and of the benchmarks that it runs: how fast a trial trains and is evaluated.

cases.py       the networks, batches and counts that are measured, on a CPU core and on a GPU
contenders.py  a step that can be timed; ours, as training runs it
official.py    one step of I-JEPA's published code, from a checkout that the user names
stages.py      which stage of a step its time goes to, by hooks on the modules
clock.py       seconds of a device, contenders in turns, waits of the host
photos.py      JPEG files like ImageNet's
machine.py     the shared options; the hardware, versions and date under each figure
rows.py        rows in a file, each written when it is measured
outcomes.py    a pytest plugin: each test is a row
gpu_report.py  the report of `benchmarks/gpu.py`, with its targets
"""
