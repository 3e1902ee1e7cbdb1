"""The site of a cluster that is never booted."""

from pathlib import Path

from orchestrator.devcluster.site import Site

SITE = Site(directory=Path("/tmp/lab"), user="ada", first_port=20000, first_job_id=4711, loopback_only=False)
