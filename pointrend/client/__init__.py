"""Clients of the served model, over REST and gRPC, blocking and asynchronous. They import no torch.

.. code-block:: python

    from pointrend.client import Client

    prediction = Client("http://127.0.0.1:8080").segment("photo.jpg", score_threshold=0.7)

``http://`` and ``https://`` speak REST, ``grpc://`` and ``grpcs://`` gRPC (port 7070 where none is named); results and
errors are the same. Every failure of a request is one of :mod:`pointrend.errors`' request errors; the table in
:mod:`pointrend.client.answers` says which. A server that asks for tokens is given ``token=``, or that of its key file:
``key_file=``, the environment's ``POINTREND_KEY_FILE``, or, for a server that the launcher started on this machine,
the one that is found there; a key file's token is renewed before it expires.

Whatever answers, a call ends in a result that is sound or in one of those errors, within ``timeout`` and within
``limits=ResponseLimits(max_bytes=..., max_pixels=...)``.
"""

from pointrend.client.asynchronous import AsyncClient
from pointrend.client.blocking import Client
from pointrend.client.limits import ResponseLimits
from pointrend.client.retries import Retries

__all__ = ["AsyncClient", "Client", "ResponseLimits", "Retries"]
