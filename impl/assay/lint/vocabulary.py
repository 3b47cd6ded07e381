"""The words by which authors give themselves away: what they call a metric, a label, a prediction, a deliberate fake.

Names are compared by their words (`mean_F1Score` -> mean, f1, score), never by substring.
"""

from __future__ import annotations

import functools
import re


def listed(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


METRICS = listed(
    "accuracy acc f1 mrr ndcg hits recall precision auc auroc auprc bleu rouge meteor perplexity map ap mae mse "
    "rmse r2 iou dice wer cer ece brier score scores similarity similarities consistency reward rewards "
    "confidence probability hit_rate kappa mcc spearman pearson correlation coherence engagement fluency "
    "relevance faithfulness"
)
"""What is measured, in the singular or plural in which it is written."""

STRICT_METRICS = METRICS - listed("map ap score scores reward rewards probability acc hits correlation")
"""The words of METRICS that hardly mean anything else."""

CORE_METRICS = listed("accuracy f1 mrr ndcg auc auroc auprc bleu rouge perplexity")
"""The words of STRICT_METRICS that have no other meaning at all."""

GAINS = listed("saving savings saved reduction improvement improvements gain gains speedup")

PREDICTIONS = listed("prediction predictions pred preds logits logit predicted probs probabilities")

LABELS = listed("label labels target targets gold golds y y_true ground_truth truth annotation annotations groundtruth")

DELIBERATE = listed(
    "random rand dummy fake mock mocked baseline baselines chance synthetic toy noise noisy shuffle shuffled "
    "permute permuted permutation bootstrap control example examples sanity stub init initial initialize jitter "
    "perturb perturbed augment augmentation augmented monte carlo sample sampled sampler sampling negatives smoke "
    "prior priors test tests testing benchmark profile warmup demo generate generator dropout mask masked masking"
)
"""Names that announce randomness or a stand-in: whoever reads them is not misled."""

NOT_MEASURED = listed(
    "threshold thresholds target targets bound bounds minimum maximum min max limit limits default defaults "
    "expected required requirement requirements goal goals weight weights config cfg settings params "
    "hyperparameters chance baseline baselines prior tolerance margin published reference paper cutoff floor "
    "ceiling price prices range grid hparams kwargs style epsilon eps alpha beta temperature thresh"
)
"""Names under which a number that looks like a result is a wish, a bound or a setting."""

EVALUATING = listed(
    "evaluate evaluation eval evaluator validate validation test score scorer benchmark measure metrics metric "
    "assess compute calculate calc get"
)


@functools.lru_cache(maxsize=65536)
def words(name: str) -> frozenset[str]:
    """The words of a name, lower case: snake, camel, `hits@10`, dots."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    parts = [part for part in re.split(r"[^a-z0-9]+", spaced.lower()) if part]
    return frozenset(parts) | frozenset(part.rstrip("0123456789") for part in parts if len(part) > 2)


def says(name: str, vocabulary: frozenset[str]) -> bool:
    """Does a name hold one of the words?"""
    return not vocabulary.isdisjoint(words(name))


def is_metric(name: str, strict: bool = False) -> bool:
    """Would a reader take this for something measured?"""
    return says(name, STRICT_METRICS if strict else METRICS) and not says(name, NOT_MEASURED)
