"""Files and data: URLs that the page is handed."""

import base64

import pytest

from gradio_app.safe_files import read_data_url
from pointrend.errors import InvalidRequest


def test_a_data_url_of_the_page_is_read_as_the_server_reads_one():
    photo = bytes(range(200, 256)) + b"?"
    for text in (base64.b64encode(photo).decode(), base64.urlsafe_b64encode(photo).decode().rstrip("=")):
        assert read_data_url("DATA:image/png;Base64," + text) == photo
    for bad in ("data:image/png;base64,abcde", "data:image/png;base64,ä", "data:text/plain,hello", "data:"):
        with pytest.raises(InvalidRequest, match="data: URL"):
            read_data_url(bad)
