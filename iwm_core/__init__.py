"""The training core of Image World Models: data, models, training and evaluation, with no knowledge of who runs it."""
