"""`iwm serve`: MLflow's tracking server, the gatherer and the reconciler in one command.

serve.py       the loop: one process per root, until a signal
periodic.py    tasks that repeat, each in a thread of its own, and the lines that they log
gathering.py   folds files, sends to MLflow and keeps the reports there up to date, whenever something changed
server.py      MLflow's server: started, watched, restarted, ended
supervisor.py  the process between, which ends MLflow's processes even if `iwm serve` is killed
command.py     addresses, passwords, command lines and environments of the servers

Nothing is imported here, so that the supervisor stays small.
"""
