"""Other forms of an exported model: smaller, for onnxruntime's mobile build, for LiteRT, for a browser."""
