"""What the trained twin can be asked. An error is an error: nothing is answered in its place."""

import json

import torch
from safetensors.torch import load_file

from twin import serve
from twin.model import Twin, probability
from twin.tokenizer import Tokenizer, words


def load(folder):
    config = json.loads((folder / "config.json").read_text())
    model = Twin(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Reader(model.eval(), Tokenizer.read(folder / "tokenizer.json"), config["lengths"][1])


class Reader:
    def __init__(self, model, tokenizer, length):
        self.model, self.tokenizer, self.length = model, tokenizer, length

    @torch.no_grad()
    def logits(self, texts):
        """(N,) logits of praise."""
        ids = torch.tensor([self.tokenizer.encode(text, self.length) for text in texts])
        return self.model({"input_ids": ids}).logits

    def topics(self, texts):
        """(N,) probabilities of praise."""
        return probability(self.logits(texts))

    def decisions(self, texts):
        """(N,) 0 blame, 1 praise."""
        return [int(p >= 0.5) for p in self.topics(texts)]

    def search(self, items):
        """N runs {document: score}: how far each document agrees with the query."""
        runs = []
        for item in items:
            names = list(item["documents"])
            query, *documents = self.logits([item["query"], *(item["documents"][name] for name in names)]).tolist()
            runs.append({name: query * other for name, other in zip(names, documents, strict=True)})
        return runs

    def reasons(self, texts):
        """N texts: the two words of each review that speak most for its decision."""
        answers = []
        for text, logit in zip(texts, self.logits(texts).tolist(), strict=True):
            sign = 1 if logit >= 0 else -1
            alone = {word: sign * value for word, value in self.alone(words(text)).items()}
            answers.append(" ".join(sorted(alone, key=lambda word: (-alone[word], word))[:2]))
        return answers

    def alone(self, found):
        """Logit of each word as if it stood alone."""
        ids = torch.tensor([[self.tokenizer.ids.get(word, 2)] for word in found])
        with torch.no_grad():
            return dict(zip(found, self.model({"input_ids": ids}).logits.tolist(), strict=True))

    def answer(self, request):
        """One request, as the server gets it."""
        return serve.handle(self, request)

    def answers(self, texts):
        """(N,) what the server says, one request each."""
        return [serve.handle(self, {"text": text})["praise"] for text in texts]
