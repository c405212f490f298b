"""The evaluation suites: golden questions in, metrics with their spread out."""
