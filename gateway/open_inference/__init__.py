"""The Open Inference Protocol, version 2, as KServe, Triton and OpenVINO Model Server have it.

``tensors`` reads and writes tensors; ``requests`` and ``responses`` are the protocol's messages over HTTP; ``images``
has the model answer each image of a request; ``metadata`` describes server and model; ``routes`` are the paths.
"""
