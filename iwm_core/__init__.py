"""The training core of Image World Models: data, models, training and evaluation, independent of the orchestrator."""
