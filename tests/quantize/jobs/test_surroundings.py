"""Of the user's shell, nothing decides unasked what a tool computes or whom it asks."""

import os
import pwd
import urllib.request
from pathlib import Path

import pytest
from requests.utils import should_bypass_proxies

from quantize.jobs.surroundings import cleaned, direct, foreign, somebody, stated

PROXY = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
URLS = ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1")


@pytest.mark.parametrize(
    "shell",
    [
        {},
        {"no_proxy": "", "NO_PROXY": ""},
        {"no_proxy": "corp.internal"},
        {"NO_PROXY": "corp.internal"},
        {"no_proxy": "corp.internal", "NO_PROXY": "10.0.0.1,localhost"},
    ],
)
def test_loopback_is_asked_directly_whatever_the_shell_says(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PROXY, **direct(shell, "host.example")}.items():
        monkeypatch.setenv(name, value)
    for url in (*URLS, "http://host.example:8000/v1"):
        assert should_bypass_proxies(url, no_proxy=None), url
    assert not should_bypass_proxies("http://elsewhere.example/", no_proxy=None)
    assert urllib.request.proxy_bypass("127.0.0.1:8000")
    if "corp.internal" in str(shell):
        assert should_bypass_proxies("http://corp.internal/", no_proxy=None)


def test_what_the_user_excepted_from_the_proxy_stays_and_nothing_stands_twice() -> None:
    told = direct({"no_proxy": "a.example, localhost", "NO_PROXY": "b.example"})
    assert told["no_proxy"] == told["NO_PROXY"] == "a.example,localhost,b.example,127.0.0.1,::1"


def test_places_that_are_empty_are_none() -> None:
    shell = {"XDG_CACHE_HOME": "", "HF_HOME": "", "XDG_DATA_HOME": "/data", "EMPTY": ""}
    assert stated(shell) == {"XDG_DATA_HOME": "/data", "EMPTY": ""}
    assert "XDG_CACHE_HOME" not in cleaned(shell)


def test_variables_of_the_tools_own_are_dropped_and_can_be_named() -> None:
    shell = {
        "VLLM_PORT": "tcp://10.0.0.1:80",
        "RAY_ADDRESS": "10.0.0.9:6379",
        "LLAMA_CPP_LIB_PATH": "/elsewhere",
        "OMP_NUM_THREADS": "64",
        "WEB_CONCURRENCY": "8",
        "HF_TOKEN": "secret",
    }
    kept = {"PATH": "/bin", "HF_HOME": "/cache", "CUDA_VISIBLE_DEVICES": "0"}
    assert foreign({**shell, **kept}, ("VLLM_",)) == sorted(shell)
    assert cleaned({**shell, **kept}, ("VLLM_",)).items() >= kept.items()
    assert not cleaned({**shell, **kept}, ("VLLM_",)).keys() & shell.keys()
    assert "VLLM_PORT" not in foreign(shell)


def test_a_home_that_can_be_written_and_a_name_that_is_known_stay(tmp_path: Path) -> None:
    assert somebody({"HOME": str(tmp_path)}, Path("/other")) == {}


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_a_home_that_is_not_there_is_replaced(home: str, tmp_path: Path) -> None:
    assert somebody({"HOME": home}, tmp_path) == {"HOME": str(tmp_path)}


def test_a_user_id_that_nobody_knows_gets_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    home = {"HOME": str(tmp_path)}
    name = f"user-{os.getuid()}"
    assert somebody(home, tmp_path) == {"USER": name, "LOGNAME": name}
    named = {**home, "USER": "assay"}
    assert somebody(named, tmp_path) == {"USER": "assay", "LOGNAME": "assay"}
