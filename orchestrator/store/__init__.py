"""The SQL projection of the files: it can be deleted and made again.

database.py      tables in, values out
refresh.py       folds again whatever changed on disk
rows.py          rows to values and back; status_json.py a status as text
tables.py        the tables and their version
engine.py        opening a database: its tables made, or dropped and made anew
"""
