"""The embedded persona world: personas as data, a grammar around them, dialogues whose true answers are known.

It must never let a value or a sentence of the test side into training, nor know who trains or who judges.
"""

from persona.world.chatter import chatter
from persona.world.dialogues import Probe, Row, generate
from persona.world.grammar import WORLD, Slot, World
from persona.world.twins import Twin, twins

__all__ = ["WORLD", "Probe", "Row", "Slot", "Twin", "World", "chatter", "generate", "twins"]
