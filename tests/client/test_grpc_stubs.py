"""The messages built at import against those that protobuf's own compiler makes of TorchServe's file."""

import importlib.util
import subprocess
import sys
import zipfile

import pytest

from pointrend.client.grpc_stubs import PredictionResponse, PredictionsRequest, TorchServeHealthResponse


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The descriptors of the proto files that TorchServe's wheel carries, by message name."""
    from google.protobuf import descriptor_pb2

    ts = importlib.util.find_spec("ts")
    if ts is None or importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("needs torchserve and grpcio-tools")
    assert ts.submodule_search_locations
    folder = tmp_path_factory.mktemp("proto")
    with zipfile.ZipFile(f"{ts.submodule_search_locations[0]}/frontend/model-server.jar") as jar:
        for name in ("proto/inference.proto", "google/rpc/status.proto", "google/protobuf/any.proto"):
            jar.extract(name, folder)
    out = folder / "set.bin"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={out}"]
    subprocess.run([*command, "proto/inference.proto"], cwd=folder, check=True, capture_output=True)
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return {f"{file.package}.{message.name}": message for message in file.message_type}


@pytest.mark.parametrize("message", [PredictionsRequest, PredictionResponse, TorchServeHealthResponse])
def test_fields_are_torchserves(compiled, message):
    theirs = {field.name: field for field in compiled[message.DESCRIPTOR.full_name].field}
    assert message.DESCRIPTOR.fields
    for field in message.DESCRIPTOR.fields:
        assert (field.number, field.type) == (theirs[field.name].number, theirs[field.name].type)


def test_a_map_of_bytes_survives():
    request = PredictionsRequest(model_name="pointrend", input={"image": b"\xff\x00", "masks": b"none"})
    again = PredictionsRequest.FromString(request.SerializeToString())
    assert dict(again.input) == {"image": b"\xff\x00", "masks": b"none"}
