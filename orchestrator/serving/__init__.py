"""`iwm serve`: MLflow's tracking server, the gatherer and the reconciler in one command.

serve.py            the loop: one of it per root, until a signal
periodic.py         a task done again and again in a thread of its own
gathering.py        folds, sends to MLflow and keeps the reports there, whenever something changed
report_builder.py   has a sweep's report made by a process of its own
server.py           MLflow's server: started, watched, started again, ended
supervisor.py       the small process between, that ends MLflow's processes when we are gone, however we went
command.py          where the servers listen, and how they are called
password.py         whether MLflow asks for a password, where others can reach it
remarks.py          the lines for a person; nothing is said again and again

Nothing is imported here, so that the supervisor stays small.
"""
