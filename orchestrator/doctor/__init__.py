"""`iwm doctor`: what a site offers to a sweep, one finding per line, each with what it means and what to do.

finding.py      Finding, its verdict, a report of findings      [pure]
packages.py     Python, torch and its devices, the libraries
site.py         asks SLURM; where it is not there, says so
partitions.py   what a partition offers                         [pure]
settings.py     what slurm.conf means for a sweep               [pure]
folder.py       what the root's file system can do
reach.py        the database and MLflow
canary.py       a real trial through a real partition, asked to give way, and back
examination.py  all of it
"""

from orchestrator.doctor.errand import Errand
from orchestrator.doctor.examination import examine
from orchestrator.doctor.finding import Finding, Report, Verdict

__all__ = ["Errand", "Finding", "Report", "Verdict", "examine"]
