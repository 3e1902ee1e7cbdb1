"""Pure statistics on numbers; knows nothing of trials, files or tables.

estimate.py   a mean with its confidence interval
effects.py    main effects, interactions, verdicts on differences
orders.py     whether our numbers have the order of a paper's
"""
