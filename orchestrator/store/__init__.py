"""The SQL projection of the files: it can be deleted and made again.

database.py      tables in, values out
refresh.py       folds again whatever changed on disk
rows.py          rows to values and back; status_json.py a status as text
migrations/      the tables, and how a database comes to have them
"""
