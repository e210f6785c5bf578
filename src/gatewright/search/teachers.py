"""Trained teachers of a search, one folder per setting: trained once, read by every trial that asks for the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatewright.config import Config
from gatewright.flow.stages.networks import pretrained_digest
from gatewright.search.trial import Taught
from gatewright.tools import digest, new_directory, write_json

if TYPE_CHECKING:
    from gatewright.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A network and its validation score."""

    network: Graph
    score: float


@dataclass(frozen=True, slots=True)
class Teachers:
    """The folder of teachers."""

    folder: Path

    def has(self, key: str) -> bool:
        """Whether it is trained."""
        return (self.folder / key / "teacher.json").is_file()

    def write(self, key: str, config: Config, taught: Taught) -> None:
        """Keep a trained teacher; its folder appears at once with all that is in it."""
        from gatewright.graph import save_graph

        assert taught.network is not None
        with new_directory(self.folder / key) as out:
            save_graph(taught.network, out / "graph.npz")
            settings = config.teacher.model_dump(mode="json")
            write_json(
                out / "teacher.json", {"score": taught.score, "seconds": round(taught.seconds, 2), "settings": settings}
            )

    def load(self, key: str) -> Teacher:
        """Return a trained teacher."""
        from gatewright.graph import load_graph

        folder = self.folder / key
        score: float = json.loads((folder / "teacher.json").read_text())["score"]
        return Teacher(network=load_graph(folder / "graph.npz"), score=score)


def teacher_key(config: Config, data_checksum: str) -> str:
    """Return the hash of all that decides a teacher."""
    settings = config.teacher.model_dump(mode="json", exclude={"checkpoint_seconds"})
    rest = [config.augment.model_dump(), config.task, config.seed, config.device, config.class_weights]
    return digest(settings, pretrained_digest(config), *rest, data_checksum)[:16]
