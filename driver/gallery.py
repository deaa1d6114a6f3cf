"""The faces that are known: enrol, verify, identify. Scores are cosines of embeddings.

gallery = Gallery(threshold=0.35)
gallery.enrol("ada", accelerator.embed(faces))
gallery.identify(accelerator.embed(face))        # Match(name="ada", cosine=0.71)
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.errors import InputError
from driver.host import normalise


@dataclass(frozen=True)
class Match:
    """name: of the person; None if the cosine to the most similar one is below the threshold."""

    name: str | None
    cosine: float


class Gallery:
    """Embeddings of known people. threshold: the least cosine of two faces of one person.

    No threshold fits every network: take that of the evaluation (`Deployment.thresholds`). Not for several
    threads at a time.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = _checked_threshold(threshold)
        self._names: list[str] = []
        self._embeddings: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Number of enrolled embeddings."""
        return len(self._names)

    @property
    def names(self) -> list[str]:
        """The people, in the order in which they were enrolled."""
        return list(dict.fromkeys(self._names))

    def enrol(self, name: str, embeddings: Any) -> None:
        """Add a person, or more embeddings (E,) or (N, E) of one. Raises InputError."""
        if not name or not name.strip():
            raise InputError("name", name, "give a person's name")
        rows = self._checked(embeddings)
        known = self._embeddings
        self._embeddings = rows if known is None else np.concatenate([known, rows])
        self._names += [name] * len(rows)

    def remove(self, name: str) -> None:
        """Forget a person. Raises InputError if unknown."""
        keep = ~self._rows_of(name)
        assert self._embeddings is not None
        self._names = [known for known, kept in zip(self._names, keep, strict=True) if kept]
        self._embeddings = self._embeddings[keep] if self._names else None

    def verify(self, name: str, embedding: Any) -> Match:
        """Whether it is that person: the name, or None. Raises InputError if the person is not enrolled."""
        cosine = float(self._cosines(embedding)[0, self._rows_of(name)].max())
        return Match(name if cosine >= self.threshold else None, cosine)

    def identify(self, embedding: Any) -> Match:
        """The most similar person, if similar enough. Raises InputError if nobody is enrolled."""
        return self.identify_all(np.asarray(embedding)[None])[0]

    def identify_all(self, embeddings: Any) -> list[Match]:
        """`identify` of each of (N, E)."""
        cosines = self._cosines(embeddings)
        best = cosines.argmax(axis=1)
        scores = cosines[np.arange(len(cosines)), best]
        return [
            Match(self._names[row] if score >= self.threshold else None, float(score))
            for row, score in zip(best, scores, strict=True)
        ]

    def save(self, path: Path | str) -> None:
        """Write it to a .npz file, whole or not at all."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.part")
        embeddings = np.zeros((0, 0), np.float32) if self._embeddings is None else self._embeddings
        with partial.open("wb") as file:
            np.savez(
                file, names=np.array(self._names, np.str_), embeddings=embeddings, threshold=self.threshold
            )
        partial.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> Gallery:
        """One that was saved. Raises InputError."""
        try:
            with np.load(path, allow_pickle=False) as file:
                names, embeddings, threshold = (file[key] for key in ("names", "embeddings", "threshold"))
            gallery = cls(float(threshold))
            if len(names) != len(embeddings):
                raise ValueError(f"{len(names)} names, {len(embeddings)} embeddings")
            if len(names):
                gallery._checked(embeddings)
                gallery._embeddings = np.asarray(embeddings, np.float32)  # as they were, to the last bit
                gallery._names = [str(name) for name in names]
        except FileNotFoundError:
            raise InputError("gallery", str(path), "no such file") from None
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise InputError("gallery", str(path), f"is no gallery ({error})") from None
        return gallery

    def _cosines(self, embeddings: Any) -> NDArray[np.float32]:
        """(N, enrolled)."""
        if self._embeddings is None:
            raise InputError("gallery", [], "nobody is enrolled")
        cosines: NDArray[np.float32] = self._checked(embeddings) @ self._embeddings.T
        return cosines

    def _checked(self, embeddings: Any) -> NDArray[np.float32]:
        """As (N, E) of length 1."""
        rows = np.atleast_2d(np.asarray(embeddings, np.float32))
        if rows.ndim != 2 or 0 in rows.shape or not np.isfinite(rows).all():
            raise InputError("embeddings", rows.shape, "give finite numbers of shape (E,) or (N, E)")
        if self._embeddings is not None and rows.shape[1] != self._embeddings.shape[1]:
            rule = f"those enrolled have {self._embeddings.shape[1]} numbers; use one accelerator for all"
            raise InputError("embeddings", rows.shape, rule)
        return normalise(rows)

    def _rows_of(self, name: str) -> NDArray[np.bool_]:
        rows = np.array([known == name for known in self._names], np.bool_)
        if not rows.any():
            raise InputError("name", name, f"is not enrolled; enrolled: {', '.join(self.names) or 'nobody'}")
        return rows


def _checked_threshold(value: Any) -> float:
    if value is None or not -1 <= float(value) <= 1:
        raise InputError("threshold", value, "give a cosine from -1 to 1, e.g. that of the evaluation")
    return float(value)
