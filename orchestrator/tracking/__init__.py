"""MLflow: one run per trial, what is sent of it, and links into its pages.

client.py     the one thing that talks to MLflow
run_card.py   what MLflow is told of a trial                                                                   [pure]
sender.py     sends what is new of each trial
gather.py     journals -> MLflow, every value once
links.py      how a person comes to the UI
"""
