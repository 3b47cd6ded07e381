"""Training files, probes and peers of the chatbot. True answers stay on this side; the subject gets persona and
dialogue only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acceptance import sides
from acceptance.persona import conversations, probes
from acceptance.persona.probes import Probes
from assay.session import Session
from assay.subject import Dataset, Subject


@pytest.fixture(scope="session")
def tables(assay_session: Session) -> sides.Tables:
    return sides.tables(assay_session, "persona")


@pytest.fixture(scope="session")
def world_data(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    """What the chain is trained on."""
    return dataset("world", probes.build_world, sources=probes.sources(), tables=["world"], **tables("world"))


@pytest.fixture(scope="session")
def probe_data(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    """What it is examined on."""
    return dataset("probes", probes.build_probes, sources=probes.sources(), tables=["probes"], **tables("probes"))


@pytest.fixture(scope="session")
def conversation_data(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset | None:
    """Synthetic-Persona-Chat by persona cluster; None where ASSAY_DATA has none."""
    files = conversations.files()
    if not files:
        return None
    return dataset(
        "conversations", conversations.build_conversations, sources={path.name: path for path in files},
        tables=["conversations"], data=[str(path) for path in files], **tables("conversations"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def persona(subject: Callable[..., Subject], world_data: Dataset) -> Subject:
    """Trained on the embedded world alone: real conversations are what it is asked about, and nothing that it reads."""
    names = ("chatter", "train", "dev", "twins", "twins_dev")
    return subject("persona", data={name: world_data.path(f"{name}.jsonl") for name in names}, datasets=[world_data])


@pytest.fixture(scope="session")
def seeds(persona: Subject) -> list[Subject]:
    """Trained once for each seed of a claim about the way of training; one in a smoke run."""
    return [persona.variant(seed=seed) for seed in range(1 if persona.profile_name == "smoke" else 3)]


@pytest.fixture(scope="session")
def asked(probe_data: Dataset) -> Callable[[str], Probes]:
    """Name of a question -> its rows."""
    return lambda name: Probes(probe_data.rows(f"{name}.jsonl"))


@pytest.fixture(scope="session")
def heldout(asked: Callable[[str], Probes]) -> Probes:
    """Probes about facts that the persona holds."""
    return asked("consistency")
