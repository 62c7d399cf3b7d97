"""The environments of the SDKs that cannot live in the main one."""

import os
from pathlib import Path

import pytest
from peers_alipay import NotInstalled, environment


@pytest.fixture(scope="session")
def python_alipay_sdk(request: pytest.FixtureRequest) -> Path:
    """Python with python-alipay-sdk."""
    return _environment(request, "python-alipay-sdk")


@pytest.fixture(scope="session")
def alipay_sdk_python(request: pytest.FixtureRequest) -> Path:
    """Python with alipay-sdk-python."""
    return _environment(request, "alipay-sdk-python")


def _environment(request: pytest.FixtureRequest, name: str) -> Path:
    """Skip with a loud line when it cannot be had; TAEL_REQUIRE_PEERS=1 makes that a failure."""
    try:
        return environment(name)
    except NotInstalled as error:
        text = f"{name} cannot be installed, its checks do not run: {error}"
        if os.environ.get("TAEL_REQUIRE_PEERS") == "1":
            pytest.fail(text)
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line("")
            reporter.write_line(f"SKIPPED PEER: {text}", red=True, bold=True)
        pytest.skip(text)
