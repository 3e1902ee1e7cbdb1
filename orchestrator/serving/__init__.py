"""`iwm serve`: MLflow's tracking server, the gatherer and the reconciler in one command.

serve.py       the loop: one of it per root, until a signal
duty.py        something done again and again in a thread of its own
gathering.py   folds, sends to MLflow and keeps the reports there, whenever something changed
press.py       has a sweep's report made by a process of its own
server.py      MLflow's server: started, watched, started again, ended
warden.py      the small process between, that ends MLflow's processes when we are gone, however we went
command.py     how MLflow's server is called                                                                   [pure]
address.py     where it listens
password.py    whether it asks for a password, where others can reach it
remarks.py     the lines for a person; nothing is said again and again

Nothing is imported here, so that the warden stays small.
"""
