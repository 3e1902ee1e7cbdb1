"""The smallest real trial: seconds, not minutes, and nothing pretended."""

TINY = (
    "train.batch_size=16",
    "train.log_every=5",
    "evaluate.bank_images=2",
    "evaluate.bank_size=8",
    "evaluate.probe_train_images=200",
    "evaluate.probe_test_images=100",
    "resources.checkpoint_every_steps=10",
)

SWEEP = """
description: two cells of the smallest real trial
overrides: [{overrides}]
axes:
  conditioning: [none, feature]
""".format(overrides=", ".join(TINY))
