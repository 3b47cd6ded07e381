"""A transformer base without the hub: BERT drawn at random, over word pieces of the training passages."""

from __future__ import annotations

from pathlib import Path

from acceptance import jsonl

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def build_base(out: Path, pairs: str, layers: int, width: int, heads: int, vocabulary: int) -> None:
    """The files that sentence-transformers loads from a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator((row["passage"] for row in jsonl.read(Path(pairs) / "train.jsonl")), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=128,
    )  # fmt: skip
    fast.save_pretrained(out)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width, max_position_embeddings=130,
    )  # fmt: skip
    BertModel(config).save_pretrained(out)
