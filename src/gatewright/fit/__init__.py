"""Training and compression: a Dataset in; a teacher, a compressed student and its integer Program out. Needs torch."""

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
from gatewright.fit.anomaly.simple import simple_scores
from gatewright.fit.anomaly.variational import Variational, train_variational
from gatewright.fit.export import check_export, export_program
from gatewright.fit.front import Front, train_front
from gatewright.fit.layer import Layer
from gatewright.fit.modules.quantizers import Grid
from gatewright.fit.network import Network
from gatewright.fit.scores.metrics import compression_table, evaluate_predictions, metrics, validation_score
from gatewright.fit.scores.pareto import Point, choose
from gatewright.fit.scores.roc import anomaly_metrics, auc_difference, decision_shares, roc_points, score_histogram
from gatewright.fit.train import Trained, teacher_outputs, train_student, train_teacher, untrained_student
from gatewright.fit.training.teach import Teacher, hidden_features, with_targets
from gatewright.fit.truth_tables import train_tables

__all__ = [
    "Autoencoder",
    "Front",
    "Grid",
    "Layer",
    "Network",
    "Point",
    "Teacher",
    "Trained",
    "Variational",
    "anomalous",
    "anomaly_metrics",
    "auc_difference",
    "check_anomaly",
    "check_export",
    "choose",
    "compression_table",
    "decision_shares",
    "evaluate_predictions",
    "export_anomaly",
    "export_program",
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
    "train_student",
    "train_tables",
    "train_teacher",
    "train_variational",
    "untrained_student",
    "validation_score",
    "with_targets",
]
