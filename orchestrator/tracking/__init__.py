"""MLflow: one run per trial, what is sent of it, and links into its pages.

client.py     the only module that talks to MLflow
run_card.py   what MLflow shows of a trial                                                                     [pure]
sender.py     sends what has changed of each trial
gather.py     journals -> MLflow, every value once
links.py      commands and links to the UI
"""
