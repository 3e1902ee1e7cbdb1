"""A real throwaway SLURM in one directory of this machine, as any user: for tests, demonstrations and trials.

It has its own munge key and socket, MariaDB on a unix socket, slurmdbd, slurmctld and any number of slurmds with
made-up GPUs, on free ports. Nothing outside the directory is touched, several clusters live side by side, and `down`
leaves neither a process nor a file. It boots in about 1.4 s and takes 190 MB of memory and 110 MB of disk.

    site.py       ClusterSpec: what a cluster offers; Site: directory, user, ports
    folder.py     its directory and the text of every configuration file
    daemons.py    required programs, command lines and sockets of daemons
    overview.py   the output of sinfo and squeue               [pure]
    processes.py  which processes belong to a cluster; starting and killing them
    cluster.py    DevCluster: up, down, crash, start, run, reset
"""

from orchestrator.devcluster.cluster import DevCluster
from orchestrator.devcluster.site import ClusterSpec

__all__ = ["ClusterSpec", "DevCluster"]
