"""`iwm doctor`: what a site offers to a sweep, one finding per line, each with what it means and what to do.

finding.py      Finding, its verdict, a report of findings      [pure]
packages.py     Python, torch and its devices, the libraries
site.py         asks SLURM; where it is not there, says so
partitions.py   what a partition offers                         [pure]
settings.py     what slurm.conf means for a sweep               [pure]
folder.py       what the root's file system can do
reach.py        the database and MLflow
canary.py       a real trial through a real partition, asked to give way, and back; canary_stages.py: its stages
examination.py  all of it
verify_resume.py, twins.py   `iwm verify-resume`: interrupted and uninterrupted runs, compared bit by bit
"""

from orchestrator.doctor.examination import examine
from orchestrator.doctor.finding import Finding, Report, Verdict
from orchestrator.doctor.partitions import CanaryRequest

__all__ = ["CanaryRequest", "Finding", "Report", "Verdict", "examine"]
