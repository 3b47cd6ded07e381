"""The server's one function: a request in, an answer out, or an error."""


def handle(reader, request):
    """{"text": ...} -> {"praise": probability}. ValueError for what is no review."""
    return {"praise": reader.topics([request["text"]])[0]}
