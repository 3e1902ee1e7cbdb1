"""Plan, launch, journal and gather ablations: a thin shell around values that files hold."""
