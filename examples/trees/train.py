"""Train boosted trees on the digits of trees.toml's training split and write model.npz beside this file."""

from pathlib import Path

from sklearn.ensemble import HistGradientBoostingClassifier

from gatewright.config import load_config
from gatewright.data import load_dataset
from gatewright.graph import save_graph
from gatewright.importers.trees import load_sklearn

folder = Path(__file__).parent
data = load_dataset(load_config(folder / "trees.toml"))
train = data.split == 0
x = data.x[train] * 2.0**-data.format.frac_bits  # what the model reads: the numbers that the codes mean
model = HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=7, learning_rate=0.5, random_state=1)
model.fit(x, data.y[train])
save_graph(load_sklearn(model), folder / "model.npz")
