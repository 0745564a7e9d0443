"""HAProxy gets Serve's configuration without its open doors, and takes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.haproxy_config import ERROR_CODES, HAProxyConfigError, Site, adapt
from deploy.ingress import haproxy_binary, ingress_variables
from deploy.plan import Serving

WRITER = Path(__file__).with_name("write_haproxy_config.py")


@pytest.fixture(scope="module")
def serves_own(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What this version of Ray Serve writes for two applications."""
    folder = tmp_path_factory.mktemp("serve")
    subprocess.run([sys.executable, str(WRITER), str(folder)], check=True)
    return (folder / "haproxy.cfg").read_text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    ingress_variables(Serving(), (), tmp_path)
    return Site(bind="127.0.0.1:8000", errors=tmp_path / "haproxy", keyed=True)


def test_nothing_listens_but_the_plans_address(serves_own: str, site: Site) -> None:
    assert "bind *:8404" in serves_own
    adapted = adapt(serves_own, site)
    binds = [line.split()[1] for line in adapted.splitlines() if line.split()[:1] == ["bind"]]
    assert binds == ["127.0.0.1:8000"]
    assert "mode 666" not in adapted
    assert ":514" not in adapted


def test_every_error_of_haproxy_is_openai_json(serves_own: str, site: Site) -> None:
    adapted = adapt(serves_own, site)
    for code in ERROR_CODES:
        assert f"errorfile {code} {site.errors}/{code}.http" in adapted
        assert b'"error": {"message"' in (site.errors / f"{code}.http").read_bytes()
    plain = [line for line in adapted.splitlines() if "text/plain" in line]
    assert all("if healthcheck" in line for line in plain)


def test_haproxy_itself_takes_it(tmp_path: Path, serves_own: str, site: Site) -> None:
    adapted = adapt(serves_own, site)
    (tmp_path / "adapted.cfg").write_text(adapted)
    binary = haproxy_binary()
    assert binary is not None
    command = [binary, "-c", "-f", str(tmp_path / "adapted.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_template_that_has_changed_is_told_and_not_served_half() -> None:
    with pytest.raises(HAProxyConfigError, match="configuration has changed"):
        adapt("global\n    maxconn 1\n", Site(bind="x", errors=Path("/"), keyed=False))
