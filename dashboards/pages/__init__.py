"""Pages beside the MLflow UI: a sweep as a grid, its report, its timeline, a trial. Read-only, rendered on the server.

server.py     one ASGI application for the root that the environment names: our pages, and MLflow elsewhere
routes.py     addresses to pages: static files, compression, refusals
requests.py   a browser's request as values; every bad one ends in a plain 4xx
source.py     the data of the pages, from the store and the trial's folder
heat.py       a sweep's cells on two axes                                                                       [pure]
lanes.py      attempts of trials over time                                                                      [pure]
trial.py      neighbours and curves of a trial                                                                  [pure]
exports.py    the data of a page as rows and as tables for a paper                                              [pure]
render.py     Jinja2, with every value escaped
"""
