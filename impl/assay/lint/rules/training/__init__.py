"""Training that is claimed and does not happen: AS2xx."""
