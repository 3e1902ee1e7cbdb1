"""Pure statistics on numbers; knows nothing of trials, files or tables.

estimate.py   a mean and how far it can be trusted
orders.py     whether an order that a paper prints holds in our numbers
"""
