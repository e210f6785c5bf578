"""Table [trees]: decision trees that are grown in place of a student network."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gatewright.config.section import Section, Size

Kind = Literal["boosted", "forest", "extra", "isolation"]
DEPTHS: dict[Kind, int] = {"boosted": 4, "forest": 8, "extra": 8, "isolation": 8}


class Trees(Section):
    """Decision trees in place of [student], whose sum becomes hardware; see docs/trees.

    kind: "boosted", each round's trees mend the sum so far: one for a value or for two classes, else one per class;
    "forest", random forest, and "extra", extremely randomized trees, whose mean counts; "isolation", isolation forest,
    whose score is built by `gatewright anomaly`.
    library: what grows them; "xgboost" has boosted ones only.
    rounds: of boosting, else trees.
    depth: questions in a row, at most; 0: 4 for boosted trees, else 8. An isolation forest draws 2**depth samples for
    each of its trees.
    leaves: of a tree, at most; 0: as many as depth allows.
    learning_rate: of boosting. least_samples: that a leaf holds; of XGBoost, the least sum of second derivatives.
    features: share of the features that is drawn anew for each split, for each tree of an isolation forest.
    leaf_bits: what a leaf is rounded to, from the least of its tree.
    teacher_weight: how much of what the trees learn is the teacher's scores, softened by distill.temperature, the rest
    being labels; 0: no teacher is trained.
    """

    kind: Kind = "boosted"
    library: Literal["scikit-learn", "xgboost"] = "scikit-learn"
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 20
    depth: Annotated[int, Field(ge=0, le=24)] = 0
    leaves: Annotated[int, Field(ge=0, le=65_536)] = 0
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.3
    least_samples: Size = 5
    features: Annotated[float, Field(gt=0, le=1)] = 1.0
    leaf_bits: Annotated[int, Field(ge=1, le=24)] = 6
    teacher_weight: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def questions(self) -> int:
        """The most in a row."""
        return self.depth or DEPTHS[self.kind]

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        def default(key: str) -> bool:
            return getattr(self, key) == type(self).model_fields[key].default

        if self.leaves == 1:
            raise ValueError("leaves must be 0 (as many as depth allows) or at least 2, not 1")
        if self.library == "xgboost" and self.kind != "boosted":
            raise ValueError(f'library "xgboost" grows kind "boosted", not "{self.kind}"; use "scikit-learn"')
        if self.kind != "boosted" and not default("learning_rate"):
            raise ValueError(f'learning_rate is of kind "boosted", not of "{self.kind}"; leave it out')
        if self.kind == "isolation":
            for key in ("leaves", "least_samples", "teacher_weight"):
                if not default(key):
                    raise ValueError(f'{key} has no effect on kind "isolation"; leave it out')
        return self
