"""The model, run by processes of the gateway's own: a second way to serve, without TorchServe and without Java.

``server``   answers what the gateway asks, in TorchServe's place
``pool``     hands requests to the workers of one model, and keeps those running
``queue``    the requests that wait
``process``  one worker, as the server sees it
``worker``   the worker itself, a program of its own
``messages`` what travels between the two
``archive``  the ``.mar`` or the folder that a worker loads
``metrics``  counters and histograms, and Prometheus' text
"""
