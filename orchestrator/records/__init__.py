"""The files of a root, which are the truth: where they lie, and reading and appending them."""
