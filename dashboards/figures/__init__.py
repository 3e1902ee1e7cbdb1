"""The figures of a sweep.

figure.py       the headline metric of each cell, and the probes
learning.py     learning curves
operations.py   MRR by photometric operation
canvas.py       what they share: axes of the sweep to parts of a figure, colours, styles, figures as bytes
"""
