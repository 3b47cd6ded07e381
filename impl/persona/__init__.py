"""A chatbot that keeps to its persona: data, SFT with LoRA, reward model, PPO, and what measures it.

It must never import the harness: its numbers are taken from outside, by a judge that it does not know.
"""
