"""Pages beside the MLflow UI: a sweep as a grid, its answer, its time line, a trial. Read-only, rendered on the server.

server.py     one ASGI application, for the root that the environment names
switch.py     who answers which address, and who is let in
routes.py     addresses to pages, and our application: static files, compression, refusals
asking.py     what a browser asks for; whatever else it sends ends in a plain 4xx
source.py     what the pages show, from the store and the trial's folder
heat.py       a sweep's cells on two axes                                                                       [pure]
lanes.py      attempts of trials over time                                                                      [pure]
curves.py     a metric's history as SVG                                                                         [pure]
neighbours.py trials that differ in one setting                                                                 [pure]
exports.py    what a page shows, as rows and as tables for a paper                                              [pure]
render.py     Jinja2, with every value escaped
"""
