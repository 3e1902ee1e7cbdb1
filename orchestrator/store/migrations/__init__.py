"""The tables of the store, and how a database comes to have them.

schema.py      the tables as they are now
opening.py     an engine on a database of the right version
env.py         Alembic's entrance
versions/      one script per version; a test holds that together they make what schema.py says
"""
