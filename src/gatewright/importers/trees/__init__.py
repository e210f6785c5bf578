"""Models of decision trees in, a Graph out: files of XGBoost and LightGBM, scikit-learn's estimators in Python."""

from gatewright.importers.trees.lightgbm import load_lightgbm
from gatewright.importers.trees.sklearn import load_sklearn
from gatewright.importers.trees.xgboost import load_xgboost

__all__ = ["load_lightgbm", "load_sklearn", "load_xgboost"]
