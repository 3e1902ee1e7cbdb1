"""Values: trials, sweeps, their events, statuses and results. No input or output.

value.py       a trial, its id, ID_VERSION
sweep.py       a sweep, resources, and the command that submits a trial again
events.py      control events: leases, submissions, holds, losses
lifecycle.py   events -> status: the fold
results.py     the results of a sweep
launchers.py   names of launchers
"""
