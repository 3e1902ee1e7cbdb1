"""A sweep's results as findings, figures, a report and pages.

cells.py      results as a factorial table
cost.py       the cost of trials and of their interruptions
wording.py    names and numbers for readers
findings/     sentences that follow from the numbers by rules
figures/      pictures
report/       the report in every format
publish.py    the report as files and as MLflow artifacts
pages/        pages that `iwm serve` shows beside the MLflow UI
"""
