"""MLflow: one run per trial, what is sent of it, and links into its pages."""
