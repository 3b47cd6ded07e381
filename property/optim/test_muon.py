"""Laws of the optimizer: its halves are Muon and AdamW of PyTorch, and its state can be saved."""

import copy

import torch
from torch.optim import _muon

from optim.muon import Muon, orthogonal


def problem(seed: int) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter], torch.Tensor]:
    """Matrices, others, and a target for the product of them all."""
    generator = torch.Generator().manual_seed(seed)
    matrices = [torch.nn.Parameter(torch.randn(*shape, generator=generator)) for shape in ((6, 9), (6, 9), (9, 4))]
    others = [torch.nn.Parameter(torch.randn(4, generator=generator)), torch.nn.Parameter(torch.tensor(0.5))]
    return matrices, others, torch.randn(6, 4, generator=generator)


def both(matrices: list[torch.nn.Parameter], others: list[torch.nn.Parameter], weight_decay: float = 0.01) -> Muon:
    groups = [
        {"params": matrices, "lr": 0.02, "orthogonal": True},
        {"params": others, "lr": 0.01, "orthogonal": False},
    ]
    return Muon(groups, weight_decay=weight_decay)


def loss_of(matrices: list[torch.nn.Parameter], others: list[torch.nn.Parameter], target: torch.Tensor) -> torch.Tensor:
    return (((matrices[0] + matrices[1]) @ matrices[2] * others[0] + others[1] - target) ** 2).mean()


def test_law_orthogonal_keeps_directions_and_evens_their_strength() -> None:
    for shape in ((3, 8, 20), (2, 20, 8)):
        given = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
        left, strength, right = torch.linalg.svd(given, full_matrices=False)
        found = orthogonal(given)
        inside = left.mT @ found @ right.mT  # diagonal where the directions are the same
        kept = torch.diagonal(inside, dim1=1, dim2=2)
        assert strength.max() / strength.min() > 1.8
        assert (kept > 0.6).all()
        assert (kept < 1.3).all()
        assert (inside - torch.diag_embed(kept)).abs().max() < 1e-4


def test_law_in_bf16_steps_are_those_of_pytorch_as_it_is() -> None:
    """`torch.optim.Muon` makes its matrices orthogonal in bf16, in another order of rounding; fp32 ends elsewhere."""
    (ours, *_), (theirs, *_), (single, *_) = (problem(2)[0] for _ in range(3))
    optimizers = [
        Muon([{"params": [ours], "lr": 0.02, "orthogonal": True}], weight_decay=0.1, dtype=torch.bfloat16),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95),
        Muon([{"params": [single], "lr": 0.02, "orthogonal": True}], weight_decay=0.1),
    ]
    for update in range(10):
        gradient = torch.randn(ours.shape, generator=torch.Generator().manual_seed(update))
        for parameter, optimizer in zip((ours, theirs, single), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (ours - problem(2)[0][0]).detach().abs().max()
    assert (ours - theirs).detach().abs().max() < 0.03 * moved
    assert not torch.equal(ours, single)


def test_law_steps_are_those_of_pytorch(monkeypatch) -> None:
    """`torch.optim.Muon` in fp32 and `torch.optim.AdamW`, over ten updates of rates that change."""
    monkeypatch.setattr(
        _muon, "_zeropower_via_newtonschulz", lambda gradient, *_: orthogonal(gradient[None])[0]
    )  # theirs rounds to bf16
    matrices, others, target = problem(0)
    theirs, theirs_others, _ = problem(0)
    ours = both(matrices, others, weight_decay=0.1)
    peers = [
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95),
        torch.optim.AdamW(theirs_others, lr=0.01, weight_decay=0.1, betas=(0.9, 0.95)),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda update: 1 / (1 + update)) for one in (ours, *peers)]
    for _ in range(10):
        loss_of(matrices, others, target).backward()
        loss_of(theirs, theirs_others, target).backward()
        for one in (ours, *peers):
            one.step()
            one.zero_grad()
        for schedule in schedules:
            schedule.step()
    for mine, other in zip([*matrices, *others], [*theirs, *theirs_others], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_law_pytorchs_own_iteration_is_the_same_up_to_its_rounding() -> None:
    given = torch.randn(8, 20, generator=torch.Generator().manual_seed(2))
    theirs = _muon._zeropower_via_newtonschulz(given, (3.4445, -4.775, 2.0315), 5, 1e-7).float()
    assert (orthogonal(given[None])[0] - theirs).abs().max() < 0.03


def test_law_without_a_gradient_nothing_moves() -> None:
    matrices, others, _ = problem(3)
    before = [each.detach().clone() for each in (*matrices, *others)]
    both(matrices, others).step()
    assert all(torch.equal(one, other) for one, other in zip((*matrices, *others), before, strict=True))


def test_law_a_saved_state_goes_on_to_the_same_bits() -> None:
    matrices, others, target = problem(4)
    optimizer = both(matrices, others)

    def train(updates: int) -> None:
        for _ in range(updates):
            loss_of(matrices, others, target).backward()
            optimizer.step()
            optimizer.zero_grad()

    train(3)
    kept, state = [each.detach().clone() for each in (*matrices, *others)], copy.deepcopy(optimizer.state_dict())
    for values in state["state"].values():  # as a file gives them back
        values |= {name: torch.as_tensor(value) for name, value in values.items()}
    train(3)
    after = [each.detach().clone() for each in (*matrices, *others)]
    for parameter, value in zip((*matrices, *others), kept, strict=True):
        parameter.data = value
    optimizer = both(matrices, others)
    optimizer.load_state_dict(state)
    train(3)
    assert all(torch.equal(one, other) for one, other in zip((*matrices, *others), after, strict=True))


def test_law_who_reads_the_optimizer_finds_pytorchs_names() -> None:
    """A recorder looks for moments to tell what had a gradient; decay, which is in none of them, is no gradient."""
    matrix, vector, idle = (torch.nn.Parameter(torch.ones(*shape)) for shape in ((2, 3), (3,), (2, 2)))
    optimizer = Muon([{"params": [matrix, idle], "lr": 0.1, "orthogonal": True}, {"params": [vector], "lr": 0.1, "orthogonal": False}])  # fmt: skip
    (matrix @ vector).sum().backward()
    optimizer.step()
    assert all(group["decoupled_weight_decay"] is True for group in optimizer.param_groups)
    names = {
        key for one in (torch.optim.Muon([matrix]), torch.optim.AdamW([vector])) for key in _state_after_a_step(one)
    }
    assert {*optimizer.state[matrix], *optimizer.state[vector]} == names
    assert not optimizer.state[idle]


def _state_after_a_step(optimizer: torch.optim.Optimizer) -> set[str]:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {key for state in optimizer.state.values() for key in state}
