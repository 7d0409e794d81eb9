"""Report text stays on this machine unless the user says otherwise."""

import logging

import pytest
from llm_server import serving

from offclip.errors import ConfigError
from offclip.reports.llm.endpoint import check_endpoint, is_loopback, privacy_warning


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.3.9", "::1"])
def test_this_machine(host):
    assert is_loopback(host)
    url = f"http://[{host}]:8000/v1" if ":" in host else f"http://{host}:8000/v1"
    endpoint = check_endpoint(url, allow_remote=False)
    assert endpoint.loopback
    assert endpoint.url == url.lower()
    assert privacy_warning(endpoint) == ""


@pytest.mark.parametrize(
    "host",
    [
        "api.example.org",
        "localhost.example.org",
        "localhost.",
        "127.0.0.1.example.org",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "10.0.0.7",
        "192.168.1.5",
        "gpu-server",
    ],
)
def test_other_machines_need_a_word(host):
    url = f"http://{host}:8000/v1"
    with pytest.raises(ConfigError, match="is not this machine") as caught:
        check_endpoint(url, allow_remote=False)
    assert "--allow-remote" in caught.value.remedy
    endpoint = check_endpoint(url, allow_remote=True)
    assert not endpoint.loopback
    warning = privacy_warning(endpoint)
    assert "PhysioNet" in warning
    assert "patient data" in warning
    assert "not encrypted" in warning
    assert "not encrypted" not in privacy_warning(check_endpoint(f"https://{host}/v1", allow_remote=True))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://localhost/v1",
        "file:///etc/passwd",
        "http://",
        "http://localhost:99999/v1",
        "http://localhost:port/v1",
        "http://[::1/v1",
        "http://localhost\\@evil.example/v1",
        "http://local host/v1",
        "http://localhost/\nv1",
        "http://user:secret@localhost/v1",
        "http://localhost@evil.example/v1",
        "http://localhost/v1?key=secret",
        "http://localhost/v1#x",
    ],
)
@pytest.mark.parametrize("allow_remote", [False, True])
def test_other_addresses_are_refused_and_not_repeated(url, allow_remote):
    with pytest.raises(ConfigError) as caught:
        check_endpoint(url, allow_remote=allow_remote)
    assert "secret" not in str(caught.value)


def test_names_are_not_looked_up(monkeypatch):
    def look_up(*_):
        raise AssertionError("a name was looked up")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("socket.gethostbyname", look_up)
    assert not is_loopback("surely-not-local.example")


def test_the_warning_is_given_once_and_before_anything_is_sent(monkeypatch, caplog, tmp_path):
    pytest.importorskip("openai", reason="the extra llm is not installed")
    from offclip.reports import RuleLabeller
    from offclip.reports.llm import LlmConfig, LlmLabeller

    # Stand in for a remote machine, which tests have none of.
    monkeypatch.setattr("offclip.reports.llm.endpoint.is_loopback", lambda host: False)
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server, caplog.at_level(logging.WARNING):
        config = LlmConfig(endpoint=server.url, model="m", allow_remote=True, cache=str(tmp_path / "c.jsonl"))
        labeller = LlmLabeller(config, RuleLabeller())
        assert labeller("Small effusion.").reason == "llm:abnormal"
        assert labeller("No effusion.").reason == "llm:normal"
    assert caplog.text.count("PhysioNet") == 1
