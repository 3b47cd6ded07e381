"""From trained weights to answers about plain data, for whoever judges, serves or compares.

Everything goes through the same `Encoder` as tasks and command line. It must never see which answer is the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corpus import ontology as ontologies
from corpus.tokenizer import CLS, SEP
from graphmer import leafy, objectives
from graphmer.config import Settings
from graphmer.data import Packed, chain_batch
from graphmer.encoder import Encoder, Vectors, batches, padded
from graphmer.leafy import Chain
from graphmer.records import Record, places_of
from graphmer.tasks import Tasks

__all__ = ["Bridge", "law_costs", "layer_parameters", "load"]

_TOP = 50
_COLUMNS = ("ids", "relations", "anchors", "places")


def load(artifact: Path) -> Bridge:
    """The trained model in the folder `artifact`. GraphmerError when it holds none."""
    return Bridge(Path(artifact))


class Bridge(Tasks):
    """Answers of one trained model: those of the tasks, and what training itself is judged by."""

    def __init__(self, artifact: Path) -> None:
        super().__init__(Encoder.load(artifact, device=Settings.of(artifact).device), artifact)
        self.artifact = artifact

    @cached_property
    def settings(self) -> Settings:
        return Settings.of(self.artifact)

    @cached_property
    def relations(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(ontologies.load().relations, start=1)}

    def vectors(self, items: Sequence[str], maximum_tokens: int = 128) -> Vectors:
        """(N, D) of texts."""
        return self.encoder.vectors(items, maximum_tokens=maximum_tokens)

    def vector(self, item: str, maximum_tokens: int = 512) -> list[float]:
        """The vector of one text."""
        answer: list[float] = self.encoder.vectors([item], maximum_tokens=maximum_tokens)[0].tolist()
        return answer

    def chains(self, items: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """What each record is to training: its chains in rows of every width, with what they decode to.

        An item has record_id, head, text and facts, a list of [relation, tail].
        """
        names = list(self.relations)
        answers: list[list[dict[str, Any]]] = []
        for width_chains in self._encoded(items):
            rows = []
            for chain in width_chains:
                head, facts = leafy.decode(chain, self.encoder.tokenizer, names)
                rows.append({"id": chain.record_id, "head": head, "facts": [list(fact) for fact in facts]})
            answers.append(rows)
        return answers

    def _encoded(self, items: Sequence[Mapping[str, Any]]) -> list[list[Chain]]:
        found = [_record(item) for item in items]
        tokens = leafy.tokenise(found, self.encoder.tokenizer)
        settings = self.settings
        return [
            [
                chain
                for width in settings.lengths
                for chain in leafy.encode(number, record, own, self.relations, width, settings.roots, settings.leaves)
            ]
            for number, (record, own) in enumerate(zip(found, tokens, strict=True))
        ]

    @torch.inference_mode()
    def fill(self, items: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, float]]]:
        """The best entries for one hidden token of each chain, best first, as (id, log-probability).

        An item is a chain as columns - ids, relations, anchors, places - with the marker for what is hidden, and `at`,
        the place that is asked about.
        """
        model, chains = self.encoder.model, [_shown(item) for item in items]
        order = sorted(range(len(items)), key=lambda place: len(chains[place]))
        answers: list[list[tuple[str, float]]] = [[] for _ in items]
        for low, high, rows, width in batches([len(chains[place]) for place in order], len(items) > 1):
            chosen = order[low:high]
            packed = Packed(width, (*((chains[place],) for place in chosen), *[()] * (rows - len(chosen))))
            batch = self._batch(packed)
            at = torch.arange(rows, device=model.device) * width
            at[: len(chosen)] += torch.tensor([items[place]["at"] for place in chosen], device=model.device)
            filled = model.fill(model.encode(**batch), at, batch["input_ids"], batch["segments"])
            best = filled[: len(chosen)].topk(_TOP)
            for place, ids, values in zip(chosen, best.indices.tolist(), best.values.tolist(), strict=True):
                answers[place] = [(str(entry), value) for entry, value in zip(ids, values, strict=True)]
        return answers

    def tails(self, items: Sequence[Mapping[str, Any]], entities: Sequence[Sequence[str]]) -> list[str]:
        """The entity that the graph head ranks first for each item of `ranked_tails`."""
        return [ranked[0][0] for ranked in self.ranked_tails(items, entities)]

    @torch.inference_mode()
    def ranked_tails(
        self, items: Sequence[Mapping[str, Any]], entities: Sequence[Sequence[str]]
    ) -> list[list[tuple[str, float]]]:
        """The best entities as tails of each (head, relation), best first, types allowing.

        Args:
            items: head and relation; where there is a text, too, its chain is read; `known` are tails left out.
            entities: (name, type) of all candidates.
        """
        model, ontology = self.encoder.model, ontologies.load()
        places = {name: place for place, (name, _) in enumerate(entities)}
        own = [item["head"] for item in items]
        tokens = padded(self.encoder.tokenizer.encode_batch([*places, *own])).to(model.device)
        table = model.graph.names(tokens, model.tokens.weight)
        relations = torch.tensor([self.relations[item["relation"]] for item in items], device=model.device)
        heads = torch.arange(len(places), len(table), device=model.device)
        queries = model.graph.queries(table, heads, relations) + model.graph.context(self._contexts(items))
        tails = model.graph.tail(table[: len(places)])
        of_kind = np.array([kind for _, kind in entities])
        kinds = {str(kind): torch.from_numpy(of_kind == kind) for kind in np.unique(of_kind)}
        answers: list[list[tuple[str, float]]] = []
        for row, item in enumerate(items):
            own_relation = relations[row : row + 1]
            scores = model.graph.scores(queries[row : row + 1], tails, own_relation)[0].cpu()
            range_ = ontology.relations[item["relation"]].range
            for kind, those in kinds.items():
                if kind not in range_:
                    scores[those] = float("-inf")
            shut = [places[name] for name in (item["head"], *item.get("known", ())) if name in places]
            scores[shut] = float("-inf")
            best = scores.topk(min(_TOP, len(places)))
            found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            answers.append([(entities[place][0], score) for place, score in found if score > float("-inf")])
        return answers

    def _batch(self, packed: Packed) -> dict[str, torch.Tensor]:
        """What `Graphmer.encode` takes, where the model is."""
        return {name: each.to(self.encoder.model.device) for name, each in chain_batch(packed).items()}

    def _hidden(self, chain: Chain) -> torch.Tensor:
        """(L, W) hidden states of one chain."""
        found: torch.Tensor = self.encoder.model.encode(**self._batch(Packed(len(chain), ((chain,),))))[0]
        return found

    def _contexts(self, items: Sequence[Mapping[str, Any]]) -> torch.Tensor:
        """(M, W) what the encoder makes of the first token of each item's chain without leaves; 0 without a text."""
        width = self.settings.lengths[-1]
        model = self.encoder.model
        found = torch.zeros(len(items), int(model.config.hidden), device=model.device)
        known: dict[tuple[str, str], torch.Tensor] = {}
        for row, item in enumerate(items):
            if not item.get("text"):
                continue
            key = (item["head"], item["text"])
            if key not in known:
                tokens = self.encoder.tokenizer.encode_batch(key)
                ids = np.array([CLS, *tokens[0], SEP, *tokens[1]][:width], np.int32)
                nothing = np.zeros_like(ids)
                chain = Chain("", 0, ids, nothing, np.arange(len(ids), dtype=np.int32), nothing, nothing, ())
                known[key] = self._hidden(chain)[0]
            found[row] = known[key]
        return found


def _record(item: Mapping[str, Any]) -> Record:
    facts = places_of(item["text"], [(relation, tail) for relation, tail in item["facts"]])
    return Record(item["record_id"], "", item["head"], item["text"], facts)


def _shown(item: Mapping[str, Any]) -> Chain:
    """The chain that an item of `fill` holds as columns."""
    ids, relations, anchors, places = (np.asarray(item[name], np.int32) for name in _COLUMNS)
    return Chain("", 0, ids, relations, anchors, (places > 0).astype(np.int32), places, ())


def law_costs(items: Sequence[Mapping[str, Any]]) -> list[float]:
    """What a law asks for each adjacency: {"law", "adjacency": (n, n)}."""
    return [float(objectives.LAWS[item["law"]](torch.tensor(item["adjacency"]))) for item in items]


def layer_parameters(items: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    """Numbers in the layers, the embeddings and the heads of each profile, counted without making any."""
    from graphmer import train

    answers = []
    for profile in items:
        with torch.device("meta"):
            model = train.build(Settings.read(profile), ontologies.load())
        counted = {"layers": 0, "embeddings": 0, "heads": 0}
        for name, parameter in model.named_parameters():
            part = name.partition(".")[0]
            embeds = part in ("tokens", "positions", "relations", "leaf_positions", "bias")
            counted["layers" if part == "layers" else "embeddings" if embeds else "heads"] += parameter.numel()
        answers.append(counted)
    return answers
