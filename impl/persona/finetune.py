"""Three ways of fine-tuning one base on one data set, in slices, so that a clock outside can take them in turns.

`full` trains every weight. `lora` trains adapters on all linear layers instead. `ours` keeps the lower layers frozen,
computes what they make of a row when it is first met and keeps it, trains adapters above them, and computes the last
layer only where a response is: nothing else reaches the loss, so its loss is the same number. What costs no arm
anything is given to all of them: rows of like length share a batch, and logits are computed only of what is learnt. All
learn smoothed labels (Szegedy et al. 2016, section 7): a base that has read knows most pieces, and would be too sure of
them before it knows the rest. No arm knows a clock, nor what another arm reached.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from safetensors.torch import save as packed
from torch import Tensor

from persona import tokens
from persona.config import Finetune, Lora, Settings, Sft
from persona.errors import PersonaError
from persona.policy import adapters
from persona.tokens import IGNORED, padded

ARMS: Final = ("full", "lora", "ours")

Examples = Sequence[Mapping[str, list[int]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an arm is trained with; the rate falls along half a cosine over `updates`."""

    updates: int
    batch: int
    learning_rate: float
    frozen: int = 0  # lower layers, in "ours"
    rank: int = 16
    seed: int = 0
    smoothing: float = 0.0  # share of each piece's probability that all pieces are given alike


def arm(name: str, model: Any, rows: Examples, plan: Plan) -> Arm:
    """The arm of that name on a model that it may change. PersonaError for an unknown name."""
    kinds = {"full": Arm, "lora": LoraArm, "ours": CachedArm}
    if name not in kinds:
        raise PersonaError(f'arm "{name}" is unknown; there are {", ".join(ARMS)}')
    return kinds[name](model, rows, plan)


class Arm:
    """Full fine-tuning; the others override what they do otherwise."""

    def __init__(self, model: Any, rows: Examples, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.rows, self.plan = rows, plan
        self.body, self.head = model.get_decoder(), model.get_output_embeddings()  # adapters are put into them
        self.model = self.adapted(model)
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trainable, lr=plan.learning_rate, weight_decay=0.0, foreach=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, plan.updates)
        self.order = self.batches()
        self.done = 0

    def adapted(self, model: Any) -> Any:
        """The model as this arm trains it."""
        return model

    def batches(self) -> Iterator[list[int]]:
        """Places of the rows of each update, epoch by epoch.

        Rows of like length together, so that little is filled up; the batches in random order.
        """
        draw, size = random.Random(self.plan.seed), self.plan.batch
        while True:
            order = draw.sample(range(len(self.rows)), len(self.rows))
            order.sort(key=lambda place: len(self.rows[place]["input_ids"]))  # stable: ties stay random
            found = [order[low : low + size] for low in range(0, len(order), size)]
            yield from draw.sample(found, len(found))

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean over the learnt pieces of the rows."""
        batch = padded([self.rows[place] for place in chosen])
        following = batch.pop("labels")[:, 1:]
        learnt = following != IGNORED  # (N, T - 1)
        states = self.body(**batch).last_hidden_state[:, :-1]  # (N, T - 1, D)
        return self.entropy(self.head(states[learnt]), following[learnt])

    def entropy(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Mean cross-entropy of (M, V) logits and the (M,) pieces that they foretell, smoothed as planned."""
        return torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=self.plan.smoothing)

    def train(self, updates: int) -> float:
        """Make so many updates; the mean loss of them."""
        self.model.train()
        total = torch.zeros(())
        for _ in range(updates):
            loss = self.loss(next(self.order))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trainable, 1.0)
            self.optimizer.step()
            self.schedule.step()
            total += loss.detach()
        self.done += updates
        return float(total) / max(1, updates)

    @torch.inference_mode()
    def nll(self, rows: Examples) -> list[tuple[float, int]]:
        """Negative log-likelihood and number of the learnt pieces of each row, by the whole model as it is."""
        self.model.eval()
        found = [(0.0, 0)] * len(rows)
        for chosen in tokens.alike([row["input_ids"] for row in rows]):
            sums, counts = tokens.likelihoods(self.model, padded([rows[place] for place in chosen]))
            for place, total, count in zip(chosen, sums.tolist(), counts.tolist(), strict=True):
                found[place] = (-total, count)
        return found

    def usage(self) -> dict[str, int]:
        """Numbers that are trained; bytes at the peak, of the optimizer's state, and of a checkpoint to go on from.

        The peak is that of the tensors: weights, gradients, optimizer, what is kept of the rows, and what the largest
        batch leaves for its backward pass.
        """
        weights = {str(place): p.detach().contiguous() for place, p in enumerate(self.trainable)}
        moments = [
            value for state in self.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
        ]
        optimizer = sum(map(nbytes, moments))
        held = {*self.model.parameters(), *self.model.buffers(), *self.kept()}
        gradients = sum(nbytes(p) for p in self.trainable)
        return {
            "trainable": sum(p.numel() for p in self.trainable),
            "peak_bytes": sum(map(nbytes, held)) + gradients + optimizer + self.activations(),
            "optimizer_bytes": optimizer,
            "checkpoint_bytes": len(packed(weights)) + optimizer,
        }

    def kept(self) -> Sequence[Tensor]:
        """Tensors beside the model that live as long as the training."""
        return ()

    def activations(self) -> int:
        """Bytes that the forward pass of the longest rows keeps for the backward pass."""
        longest = sorted(range(len(self.rows)), key=lambda place: -len(self.rows[place]["input_ids"]))
        weights = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        found: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        self.model.train()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self.loss(longest[: self.plan.batch])
        del loss
        return sum(found.values())


def nbytes(tensor: Tensor) -> int:
    """Bytes of a tensor."""
    return tensor.numel() * tensor.element_size()


class LoraArm(Arm):
    """Adapters on all linear layers, everything else as in full fine-tuning."""

    layers: list[int] | None = None  # that adapters are on; all

    def adapted(self, model: Any) -> Any:
        from peft import get_peft_model

        settings = Settings(sft=Sft(lora=Lora(self.plan.rank, 2 * self.plan.rank)))
        options = adapters(settings, "sft")
        options.layers_to_transform = self.layers
        return get_peft_model(model, options)


class CachedArm(LoraArm):
    """Frozen lower layers computed once a row, adapters above, the last layer only where a response is."""

    def __init__(self, model: Any, rows: Examples, plan: Plan) -> None:
        count = model.config.num_hidden_layers
        if not 0 < plan.frozen < count:
            raise PersonaError(f"frozen = {plan.frozen}: a model of {count} layers can freeze 1 to {count - 1}")
        self.layers = list(range(plan.frozen, count))
        super().__init__(model, rows, plan)
        self.below: dict[int, Tensor] = {}  # (T, D) of each row that was met

    def kept(self) -> Sequence[Tensor]:
        return list(self.below.values())

    def loss(self, chosen: Sequence[int]) -> Tensor:
        new = [place for place in chosen if place not in self.below]
        found = frozen_states(self.body, [self.rows[place] for place in new], self.plan.frozen)
        self.below.update(zip(new, found, strict=True))
        hidden = torch.nn.utils.rnn.pad_sequence([self.below[place] for place in chosen], batch_first=True)
        batch = padded([self.rows[place] for place in chosen])
        embedded, seen = rotary(self.body, hidden), sight(self.body, batch["input_ids"])
        for layer in self.body.layers[self.plan.frozen : -1]:
            hidden = layer(hidden, attention_mask=seen, position_embeddings=embedded)
        places, wanted = learnt_places(batch["labels"])
        top = last_layer(self.body.layers[-1], hidden, places, embedded)
        learnt = wanted != IGNORED  # (N, R)
        return self.entropy(self.head(self.body.norm(top[learnt])), wanted[learnt])


@torch.no_grad()
def frozen_states(body: Any, rows: Examples, frozen: int) -> list[Tensor]:
    """(T, D) what the first `frozen` layers make of each row."""
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for chosen in tokens.alike([row["input_ids"] for row in rows]):
        ids = padded([rows[place] for place in chosen])["input_ids"]
        hidden = body.embed_tokens(ids)
        embedded, seen = rotary(body, hidden), sight(body, ids)
        for layer in body.layers[:frozen]:
            hidden = layer(hidden, attention_mask=seen, position_embeddings=embedded)
        for row, place in enumerate(chosen):
            found[place] = hidden[row, : len(rows[place]["input_ids"])].clone()
    return found


def rotary(body: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (1, T, size of a head) each, of the positions of (N, T, D)."""
    return body.rotary_emb(hidden, torch.arange(hidden.shape[1])[None])  # type: ignore[no-any-return]


def sight(body: Any, ids: Tensor) -> Tensor | None:
    """Whom the places of (N, T) rows, filled up on the right, see in this body; None where all is causal."""
    from persona import section

    return section.sight(ids, None, body.config) if isinstance(body.config, section.SectionConfig) else None


def learnt_places(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(N, T) labels -> (N, R) positions that foretell a learnt piece, and (N, R) those pieces, then IGNORED."""
    learnt = labels[:, 1:] != IGNORED
    most = int(learnt.sum(1).max())
    places = learnt.int().sort(dim=1, descending=True, stable=True).indices[:, :most]  # learnt ones first, in order
    return places, labels[:, 1:].gather(1, places)


def last_layer(layer: Any, hidden: Tensor, places: Tensor, embedded: tuple[Tensor, Tensor]) -> Tensor:
    """(N, T, D) states, (N, R) positions -> (N, R, D) what a Llama block makes of them there; keys come from all.

    The positions see what lies before them: a piece that is learnt is in no section.
    """
    from transformers.models.llama.modeling_llama import rotate_half

    attention = layer.self_attn
    rows, count = places.shape
    size = attention.head_dim
    cosine, sine = (part[0] for part in embedded)  # (T, size)
    seen = layer.input_layernorm(hidden)
    at = places[..., None].expand(-1, -1, hidden.shape[-1])
    query = attention.q_proj(seen.gather(1, at)).view(rows, count, -1, size).transpose(1, 2)  # (N, H, R, size)
    key, value = (
        project(seen).view(rows, hidden.shape[1], -1, size).transpose(1, 2)
        for project in (attention.k_proj, attention.v_proj)
    )
    query = query * cosine[places][:, None] + rotate_half(query) * sine[places][:, None]
    key = key * cosine + rotate_half(key) * sine
    before = torch.arange(hidden.shape[1]) <= places[..., None]  # (N, R, T)
    mixed = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=before[:, None], enable_gqa=key.shape[1] != query.shape[1]
    )
    state = hidden.gather(1, at) + attention.o_proj(mixed.transpose(1, 2).reshape(rows, count, -1))
    return state + layer.mlp(layer.post_attention_layernorm(state))  # type: ignore[no-any-return]


class Comparison:
    """The arms on one base and one data set; whoever asks says whose turn it is."""

    def __init__(self, base: Callable[[], Any], rows: Examples, dev: Examples, settings: Finetune, seed: int) -> None:
        self.base, self.rows, self.dev, self.settings, self.seed = base, rows, dev, settings, seed
        self.arms: dict[str, Arm] = {}

    def prepare(self, name: str) -> Arm:
        """The arm of that name, built when it is first asked for: ask before a clock starts."""
        options = self.settings
        full = Plan(
            options.updates,
            options.batch,
            options.full_learning_rate,
            rank=options.rank,
            seed=self.seed,
            smoothing=options.smoothing,
        )
        ours = replace(
            full,
            updates=options.our_updates,
            batch=options.our_batch,
            learning_rate=options.our_learning_rate,
            frozen=options.frozen,
        )
        plans = {"full": full, "lora": replace(full, learning_rate=options.lora_learning_rate), "ours": ours}
        if name not in self.arms:
            self.arms[name] = arm(name, self.base(), self.rows, plans.get(name, full))
        return self.arms[name]

    def run(self, name: str, number: int) -> int:
        """Train slice `number` (from 0) of an arm; updates made so far. PersonaError where it is not the next one."""
        one, slices = self.prepare(name), self.settings.slices
        begin, end = (one.plan.updates * place // slices for place in (number, number + 1))
        if not 0 <= number < slices or one.done != begin:
            raise PersonaError(f'arm "{name}" made {one.done} updates: slice {number} of {slices} is not its next')
        one.train(end - begin)
        return one.done

    def nll(self, name: str) -> list[tuple[float, int]]:
        """Negative log-likelihood and pieces of each dev row, by the arm as it is."""
        return self.prepare(name).nll(self.dev)
