"""What can be said of replies by counting: consistency, engagement, quality, and what others have published.

For whoever trains and talks. Acceptance has a judge of its own, which this package must never import.
"""

from persona.evaluators.benchmark import Benchmark, BenchmarkEvaluator
from persona.evaluators.engagement import EngagementEvaluator
from persona.evaluators.persona import PersonaEvaluator
from persona.evaluators.quality import QualityEvaluator

__all__ = ["Benchmark", "BenchmarkEvaluator", "EngagementEvaluator", "PersonaEvaluator", "QualityEvaluator"]
