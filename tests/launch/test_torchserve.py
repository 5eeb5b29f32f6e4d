from pointrend.torchserve import Ports, render_settings


def test_settings_are_replaced_in_place_and_added():
    template = "# why\ninference_address=http://127.0.0.1:8080\nload_models=pointrend.mar\n"
    rendered = render_settings(template, {"inference_address": "http://127.0.0.1:9000", "model_store": "/srv"})
    assert rendered == "# why\ninference_address=http://127.0.0.1:9000\nload_models=pointrend.mar\nmodel_store=/srv\n"


def test_the_other_ports_follow_the_server_port():
    assert Ports.beside(8080, 7860) == Ports()
    assert Ports.beside(9080, 7000) == Ports(9080, 9081, 9082, 8070, 8071, 7000)
