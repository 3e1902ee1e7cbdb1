"""A real throwaway SLURM in one directory of this machine, as any user: for tests, demonstrations and trials.

Own munge key and socket, own MariaDB on a unix socket, slurmdbd, slurmctld and as many slurmds as wished, with made-up
GPUs, on free ports. Nothing outside the directory is touched, several clusters live side by side, and `down` leaves
neither a process nor a file. Boots in about 1.4 s; takes 190 MB of memory and 110 MB of disk.

    spec.py       ClusterSpec: what a cluster offers           [pure]
    site.py       where it lives: directory, user, ports
    folder.py     its directory: made, filled, opened again
    conf.py       the text of every configuration file         [pure]
    daemons.py    names, command lines and sockets of daemons  [pure]
    overview.py   what sinfo and squeue say                    [pure]
    binaries.py   which programs are needed, and the package that has each
    processes.py  who belongs to a cluster; starting and ending it
    cluster.py    DevCluster: up, down, crash, start, run, reset
"""

from orchestrator.devcluster.cluster import DevCluster
from orchestrator.devcluster.spec import ClusterSpec

__all__ = ["ClusterSpec", "DevCluster"]
