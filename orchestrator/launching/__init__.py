"""Starting trials and looking after them: leases, the slots of this machine, arrays of SLURM."""
