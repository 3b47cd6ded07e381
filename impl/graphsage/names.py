"""Which modules the imported names in sight speak for: counted in training, weighed beside the model on dev.

`np.zeros` says numpy, and no network has to find that out again. Only names that a function reads and does not set
itself count, so where imported names are masked there is next to nothing to look up, and the answer is the model's.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from graphsage.data import Seen, free
from graphsage.graph import CodeGraphs

FILE: Final = "names.npz"
_OFTEN = 2  # functions that a name must be imported in
_TELLING = 0.7  # share of a module from which on a name says something: less is a name of many meanings
_LEAST, _MOST = 0.01, 0.98  # shares as log-odds

Floats = NDArray[np.float64]


class UnreadableNames(ValueError):  # noqa: N818 (says what is the case)
    """A file that holds no table of names, or one of other modules."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds of a module = own x the model's + names x those of the names + offset, where a name is telling."""

    own: float = 1.0
    names: float = 0.0
    offset: float = 0.0

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Weights:
        """KeyError and TypeError for what is no such table."""
        return cls(*(0.0 + table[name] for name in ("own", "names", "offset")))


@dataclass(frozen=True, slots=True)
class Names:
    """For each known name the modules of functions that import it, and how many of those that read it they are."""

    symbol: NDArray[np.uint64]  # (H,) hash of the name, ascending
    first: NDArray[np.int64]  # (H + 1,) its modules are [first[h], first[h + 1])
    module: NDArray[np.int64]  # (M,)
    share: Floats  # (M,) of the functions that read the name, those that import it and use the module

    @classmethod
    def learn(cls, seen: Seen, modules: NDArray[np.int64]) -> Names:
        """From what functions of training read, and the (B, K) modules that they use."""
        from scipy.sparse import csr_matrix

        symbol, which = np.unique(seen.symbol, return_inverse=True)
        owner, name = seen.owner[seen.imported], which[seen.imported]
        imported = csr_matrix((np.ones(len(name), np.int64), (name, owner)), shape=(len(symbol), len(modules)))
        used = (imported @ csr_matrix(modules)).tocoo()  # (H, K) functions that import the name and use the module
        # one more, so that a name which was read twice says less than one that was read often
        share = used.data / (np.bincount(which, minlength=len(symbol))[used.row] + 1)
        kept = (used.data >= _OFTEN) & (share > _LEAST)
        row, column, share = used.row[kept], used.col[kept], share[kept]
        order = np.lexsort((column, row))
        known, count = np.unique(row, return_counts=True)
        return cls(symbol[known], np.concatenate([[0], np.cumsum(count)]), column[order].astype(np.int64), share[order])

    @classmethod
    def read(cls, file: Path, modules: int) -> Names:
        """What `content` was written to. UnreadableNames for what is no such file, or not one of that many modules."""
        try:
            with np.load(file, allow_pickle=False) as found:
                names = cls(**found)
            whole = names.fits(modules)
        except Exception as error:  # a damaged archive raises whatever its parts do
            raise UnreadableNames(f"{file}: not a table of names: {str(error) or type(error).__name__}") from None
        if not whole:
            raise UnreadableNames(f"{file}: not a table of names for {modules} modules")
        return names

    def fits(self, modules: int) -> bool:
        """Whether the columns are what they should be, and of so many modules."""
        kinds = [each.dtype.str for each in (self.symbol, self.first, self.module, self.share)]
        entries = int(self.first[-1])
        return (
            kinds == ["<u8", "<i8", "<i8", "<f8"]
            and bool((self.symbol[1:] > self.symbol[:-1]).all())
            and len(self.first) == len(self.symbol) + 1
            and self.first[0] == 0
            and bool((np.diff(self.first) >= 0).all())
            and len(self.module) == len(self.share) == entries
            and bool(((self.module >= 0) & (self.module < modules)).all())
            and bool(((self.share >= 0) & (self.share <= 1)).all())
        )

    def content(self) -> bytes:
        """The bytes of the file."""
        file = io.BytesIO()
        np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        return file.getvalue()

    def shares(self, owner: NDArray[np.int64], symbol: NDArray[np.uint64], shape: tuple[int, int]) -> Floats:
        """(G, K): the largest share of each module among the names of each graph; name i is one of graph owner[i]."""
        found = np.zeros(shape)
        if not len(self.symbol):
            return found
        place = np.minimum(np.searchsorted(self.symbol, symbol), len(self.symbol) - 1)
        known = self.symbol[place] == symbol
        place, owner = place[known], owner[known]
        count = self.first[place + 1] - self.first[place]
        before = np.cumsum(count) - count
        entry = np.arange(count.sum()) + np.repeat(self.first[place] - before, count)
        np.maximum.at(found, (np.repeat(owner, count), self.module[entry]), self.share[entry])
        return found

    def weighed(self, own: Floats, graphs: CodeGraphs, weights: Weights) -> Floats:
        """(G, K) log-odds of the model -> the same with what the names in the graphs say."""
        return fused(own, self.shares(*free(graphs), (len(graphs), own.shape[1])), weights)


def fused(own: Floats, shares: Floats, weights: Weights) -> Floats:
    """(G, K) log-odds of the model and shares of names -> log-odds of both; the model's where no name is telling."""
    telling = _telling(shares)
    found = own.copy()
    found[telling] = weights.own * own[telling] + weights.names * _odds(shares[telling]) + weights.offset
    return found


def fit(own: Floats, shares: Floats, used: NDArray[np.int64]) -> Weights:
    """The weights with the least cross-entropy over functions (G, K) with a telling name, `used` being 0 or 1."""
    telling = _telling(shares)
    if not telling.any():
        return Weights()
    columns = [own[telling], _odds(shares[telling]), np.ones_like(own[telling])]
    features = torch.from_numpy(np.stack([each.ravel() for each in columns], axis=1))
    labels = torch.from_numpy(used[telling].ravel()).double()
    weights = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(features @ weights, labels)
        loss = loss + 1e-6 * weights.square().sum()  # of few functions all could be told apart
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    return Weights(*weights.tolist())


def _telling(shares: Floats) -> NDArray[np.bool_]:
    return shares.max(axis=1, initial=0.0) >= _TELLING


def _odds(shares: Floats) -> Floats:
    shares = shares.clip(_LEAST, _MOST)
    return np.log(shares) - np.log1p(-shares)
