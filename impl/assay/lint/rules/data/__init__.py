"""Labels, splits and batches: AS3xx."""
