"""Training and compression: a Dataset in; a teacher and a compressed student, as graphs, out. Training needs torch.

Importing this package loads none of it (PEP 562): what judges networks, `fit.scores`, does without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gatewright.tools import need

if TYPE_CHECKING:
    from gatewright.fit.anomaly.autoencoder import (
        Autoencoder,
        anomalous,
        check_anomaly,
        export_anomaly,
        normal_samples,
        threshold_at,
        train_autoencoder,
        train_autoencoder_front,
    )
    from gatewright.fit.anomaly.isolation import Isolation, train_isolation
    from gatewright.fit.anomaly.simple import simple_scores
    from gatewright.fit.anomaly.variational import Variational, train_variational
    from gatewright.fit.front import Front, train_front
    from gatewright.fit.scores.metrics import compression_table, evaluate_predictions, metrics, validation_score
    from gatewright.fit.scores.pareto import Point, choose
    from gatewright.fit.scores.roc import anomaly_metrics, auc_difference, decision_shares, roc_points, score_histogram
    from gatewright.fit.train import Trained, teacher_outputs, train_student, train_teacher, untrained_student
    from gatewright.fit.training.teach import Teacher, hidden_features, with_targets
    from gatewright.fit.truth_tables import train_tables

__all__ = [
    "Autoencoder",
    "Front",
    "Isolation",
    "Point",
    "Teacher",
    "Trained",
    "Variational",
    "anomalous",
    "anomaly_metrics",
    "auc_difference",
    "check_anomaly",
    "choose",
    "compression_table",
    "decision_shares",
    "evaluate_predictions",
    "export_anomaly",
    "hidden_features",
    "metrics",
    "normal_samples",
    "roc_points",
    "score_histogram",
    "simple_scores",
    "teacher_outputs",
    "threshold_at",
    "train_autoencoder",
    "train_autoencoder_front",
    "train_front",
    "train_isolation",
    "train_student",
    "train_tables",
    "train_teacher",
    "train_variational",
    "untrained_student",
    "validation_score",
    "with_targets",
]

_HOME = {
    "Autoencoder": "anomaly.autoencoder",
    "Front": "front",
    "Isolation": "anomaly.isolation",
    "Point": "scores.pareto",
    "Teacher": "training.teach",
    "Trained": "train",
    "Variational": "anomaly.variational",
    "anomalous": "anomaly.autoencoder",
    "anomaly_metrics": "scores.roc",
    "auc_difference": "scores.roc",
    "check_anomaly": "anomaly.autoencoder",
    "choose": "scores.pareto",
    "compression_table": "scores.metrics",
    "decision_shares": "scores.roc",
    "evaluate_predictions": "scores.metrics",
    "export_anomaly": "anomaly.autoencoder",
    "hidden_features": "training.teach",
    "metrics": "scores.metrics",
    "normal_samples": "anomaly.autoencoder",
    "roc_points": "scores.roc",
    "score_histogram": "scores.roc",
    "simple_scores": "anomaly.simple",
    "teacher_outputs": "train",
    "threshold_at": "anomaly.autoencoder",
    "train_autoencoder": "anomaly.autoencoder",
    "train_autoencoder_front": "anomaly.autoencoder",
    "train_front": "front",
    "train_isolation": "anomaly.isolation",
    "train_student": "train",
    "train_tables": "truth_tables",
    "train_teacher": "train",
    "train_variational": "anomaly.variational",
    "untrained_student": "train",
    "validation_score": "scores.metrics",
    "with_targets": "training.teach",
}


def __getattr__(name: str) -> object:
    """Load a public name at its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'gatewright.fit' has no attribute {name!r}; it has {', '.join(__all__)}")
    if not _HOME[name].startswith("scores."):
        need("torch", "training", "fit")
    return getattr(import_module(f"gatewright.fit.{_HOME[name]}"), name)
