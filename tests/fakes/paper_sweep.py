"""A sweep of made-up results along the axes of the paper's tables: `paper_sweep()`."""

from orchestrator.trial.results import SweepResults
from tests.fakes.results import finished, results, trial

ROWS = {  # predictor, conditioning, photometric: MRR
    ("d12w384", "feature", "destructive"): 0.09,
    ("d18w384", "feature", "destructive"): 0.79,
    ("d18w384", "sequence", "destructive"): 0.70,
    ("d18w384", "none", "destructive"): 0.02,
}
LABELS = {"predictor_finetune": "predictor_finetune", "random_predictor": "predictor_finetune"}
JITTER = {"photometric.grayscale_p": 0.0, "photometric.blur_p": 0.0, "photometric.solarize_p": 0.0}


def paper_sweep(seeds: int = 3) -> SweepResults:
    """Four models, with two ways of fine-tuning each. By seed everything moves by a hundredth; predictor fine-tuning
    goes with MRR, and the probe against it."""
    trials = []
    for (predictor, conditioning, photometric), mrr in ROWS.items():
        for seed in range(seeds):
            place = {"predictor": predictor, "conditioning": conditioning, "photometric": photometric, "seed": seed}
            config = {"photometric.brightness_max": 0.4, **(JITTER if photometric == "jitter" else {})}
            metrics = {"mrr": mrr + 0.01 * seed, "mrr_floor": 0.024, "linear_probe_top1": 0.8 - mrr / 2}
            trials.append(trial(place, status=finished(metrics), seed=seed, config=config))
            for label, protocol in LABELS.items():
                score = {f"{protocol}_top1": 0.5 + (mrr / 4 if label == protocol else 0.01 * (-1) ** seed)}
                named = {**config, "evaluate.protocol": protocol}
                trials.append(trial({**place, "protocol": label}, status=finished(score), seed=seed, config=named))
    return results(trials, axes=["predictor", "conditioning", "photometric", "seed", "protocol"], name="paper")
