"""One script per version of the schema, never edited after it was released."""
