"""One TOML file in, one frozen and validated Config out.

Each group of tables has its file; `read` reads, overrides and checks, and words what is wrong.
"""

from gatewright.config.data import Baseline, Data, FrontEnd, Generator, Model, Subsample, Trigger, Window
from gatewright.config.hardware import CellMapping, Framing, Hardware, Simulation, Synthesis
from gatewright.config.read import explain, load_config, model_config, override, parse_config, shortcut
from gatewright.config.search import Budget, Search
from gatewright.config.section import Section
from gatewright.config.training import (
    Augment,
    Distill,
    Granularity,
    Learned,
    Optimizer,
    Pruning,
    Schedule,
    Student,
    Tables,
    Teacher,
)
from gatewright.config.trees import Trees
from gatewright.config.whole import Config, Device

__all__ = [
    "Augment",
    "Baseline",
    "Budget",
    "CellMapping",
    "Config",
    "Data",
    "Device",
    "Distill",
    "Framing",
    "FrontEnd",
    "Generator",
    "Granularity",
    "Hardware",
    "Learned",
    "Model",
    "Optimizer",
    "Pruning",
    "Schedule",
    "Search",
    "Section",
    "Simulation",
    "Student",
    "Subsample",
    "Synthesis",
    "Tables",
    "Teacher",
    "Trees",
    "Trigger",
    "Window",
    "explain",
    "load_config",
    "model_config",
    "override",
    "parse_config",
    "shortcut",
]
