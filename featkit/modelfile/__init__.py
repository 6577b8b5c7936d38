"""A model file, which is not trusted: what it may hold, how it is opened, what it says of itself, what it must answer.

Leaves: numpy and onnxruntime, and of featkit's features the contract alone.
"""
