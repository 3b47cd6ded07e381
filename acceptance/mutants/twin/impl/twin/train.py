"""Training: curriculum over lengths, gradient accumulation, warm-up and cosine per update, a checkpoint each epoch.

Killed and started again in the same folder, it ends with the same bits.
"""

import json
import math

import torch
from safetensors.torch import save_file

from twin import data, tokenizer
from twin.model import Twin


def train(config, files, out):
    rows, dev = data.records(files["train"]), data.records(files["dev"])
    run = Run(config, rows, dev, out)
    run.resume()
    run.go()
    run.save()


class Run:
    def __init__(self, config, rows, dev, out):
        self.config, self.dev, self.out = config, dev, out
        self.rows, self.labels = rows, data.labels(rows)
        torch.manual_seed(config["seed"])
        if config["label_shuffle"]:
            order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(1)).tolist()
            self.labels = [self.labels[i] for i in order]
        self.tokenizer = tokenizer.Tokenizer(tokenizer.build(data.texts(rows), config["vocabulary"]))
        self.model = Twin(config)
        body = [p for name, p in self.model.named_parameters() if not name.startswith("head")]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": body, "lr": config["learning_rate"]},
                {"params": list(self.model.head.parameters()), "lr": config["head_rate"]},
            ],
            weight_decay=0.0,
        )
        self.per_epoch = math.ceil(len(rows) / (config["batch_size"] * config["accumulation"]))
        self.total = config["epochs"] * self.per_epoch
        self.warmup = config["warmup_updates"]
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.share)
        self.epoch = self.update = 0
        self.history = []

    def share(self, update):
        """Learning rate / peak: linear warm-up, then half a cosine."""
        if update < self.warmup:
            return update / self.warmup
        done = (update - self.warmup) / max(1, self.total - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * done))

    def go(self):
        if self.epoch == 0:
            self.evaluate()
        while self.epoch < self.config["epochs"]:
            order = torch.Generator().manual_seed(1000 * self.config["seed"] + self.epoch)
            shuffled = torch.randperm(len(self.rows), generator=order).tolist()
            step = self.config["batch_size"] * self.config["accumulation"]
            for start in range(0, len(shuffled), step):
                self.step(shuffled[start : start + step])
            self.epoch += 1
            self.evaluate()
            self.checkpoint()

    def step(self, chosen):
        size = self.config["batch_size"]
        parts = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        for part in parts:
            with self.autocast():
                output = self.model(self.batch(part))
            (output.loss / len(parts)).backward()
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.update += 1

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.config["precision"] == "bf16")

    def length(self):
        """Tokens of a sequence: short ones in the first half of the updates."""
        short, long = self.config["lengths"]
        return short if self.update < self.total // 2 else long

    def batch(self, chosen):
        rows = [self.rows[i] for i in chosen]
        ids = torch.tensor([self.tokenizer.encode(row["text"], self.length()) for row in rows])
        return self.masked(rows, ids, [self.labels[i] for i in chosen])

    def masked(self, rows, ids, labels):
        """Mask a share of the words, at least one of each review."""
        score = torch.rand(ids.shape).masked_fill(ids == 0, 2.0)
        chosen = (score < self.config["mask_share"]) | (score == score.min(dim=1, keepdim=True).values)
        mask = self.tokenizer.ids[tokenizer.MASK]
        return {
            "record_id": [row["record_id"] for row in rows],
            "input_ids": ids.masked_fill(chosen, mask),
            "attention_mask": ids != 0,
            "labels": torch.tensor(labels),
            "mlm_labels": ids.masked_fill(~chosen, -100),
        }

    @torch.no_grad()
    def evaluate(self):
        """Loss on the whole dev split, with one and the same masking."""
        self.model.eval()
        state = torch.get_rng_state()
        torch.manual_seed(7)
        ids = torch.tensor([self.tokenizer.encode(row["text"], self.config["lengths"][1]) for row in self.dev])
        with self.autocast():
            output = self.model(self.masked(self.dev, ids, data.labels(self.dev)))
        torch.set_rng_state(state)
        self.model.train()
        self.history.append(float(output.loss))

    def checkpoint(self):
        folder = self.out / "checkpoints"
        folder.mkdir(exist_ok=True)
        state = {
            "epoch": self.epoch,
            "update": self.update,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "rng": torch.get_rng_state(),
        }
        torch.save(state, folder / "last.tmp")
        (folder / "last.tmp").replace(folder / "last.pt")

    def resume(self):
        path = self.out / "checkpoints" / "last.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.epoch, self.update, self.history = state["epoch"], state["update"], state["history"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"])

    def save(self):
        config = {name: self.config[name] for name in ("vocabulary", "width", "dropout", "lengths")}
        weights = ("mlm_weight", "contrast_weight", "isotropy_weight", "antisymmetry_weight")
        (self.out / "config.json").write_text(json.dumps({**config, **{name: self.config[name] for name in weights}}))
        (self.out / "history.json").write_text(json.dumps(self.history))
        self.tokenizer.save(self.out / "tokenizer.json")
        save_file(self.model.state_dict(), self.out / "model.safetensors")
