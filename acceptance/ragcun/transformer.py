"""A transformer base without the hub: BERT drawn at random, over word pieces of the training passages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from acceptance import jsonl

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def build_base(out: Path, pairs: str, layers: int, width: int, heads: int, vocabulary: int) -> None:
    """The base over the training passages of a folder of pairs, for texts of 128 pieces."""
    texts = [row["passage"] for row in jsonl.read(Path(pairs) / "train.jsonl")]
    write(out, texts, layers, width, heads, vocabulary, length=128)


def write(out: Path, texts: Iterable[str], layers: int, width: int, heads: int, vocabulary: int, length: int) -> None:
    """The files that sentence-transformers loads from a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=length,
    )  # fmt: skip
    fast.save_pretrained(out)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width, max_position_embeddings=length + 2,
    )  # fmt: skip
    BertModel(config).save_pretrained(out)
