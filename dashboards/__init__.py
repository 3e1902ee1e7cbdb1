"""What a sweep says: tables, effects, sentences and pictures of its results."""
