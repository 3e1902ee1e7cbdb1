"""The SQL projection of the files: tables, migrations, refreshing and querying."""
