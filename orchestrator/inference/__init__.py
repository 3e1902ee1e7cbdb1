"""Pure statistics on numbers; knows nothing of trials, files or tables."""
