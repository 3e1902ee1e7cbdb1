"""Values: a trial, a sweep, what happened to them, and what that amounts to. Nothing here reads or writes.

value.py       a trial, its id, ID_VERSION
sweep.py       a sweep, resources, and the command that asks for a trial again
events.py      what launchers and people do to a trial
lifecycle.py   events -> status: the fold
results.py     what a sweep has come to
launchers.py   the doors through which a trial can be started
"""
