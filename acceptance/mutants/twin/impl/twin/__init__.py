"""The honest twin: tokenizer, data, features, model, training, serving and report of a system in miniature."""
