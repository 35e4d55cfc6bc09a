"""Fixtures of the integration tests, and what a failure prints."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness import programs
from harness.daemon import Daemon
from harness.logs import LogReceiver
from harness.tls import make_certificate
from harness.traffic import Traffic


def pytest_configure(config):
    if shutil.which(programs.SLUICE) is None and not config.option.collectonly:
        raise pytest.UsageError(f"there is no program at {programs.SLUICE}: build it, or name one in SLUICE")


def pytest_report_header():
    return f"daemon under test: {programs.SLUICE} (as {programs.KIND})"


def pytest_collection_modifyitems(items):
    """Against the reference, only what is marked as common to both runs."""
    if programs.KIND == "sluice":
        return
    for item in items:
        if not item.get_closest_marker("reference"):
            item.add_marker(pytest.mark.skip(reason="sluice's own behaviour"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds configuration, log and counters of every daemon to the report of a failed test."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for daemon in getattr(item, "daemons", ()):
            with contextlib.suppress(OSError):
                report.sections += [(f"sluice: {title}", text) for title, text in daemon.report()]


@pytest.fixture
def sluice(request):
    """Starts daemons: sluice(configuration, globals="", **options of Daemon). All end with the test."""
    daemons = request.node.daemons = []

    def start(configuration, globals="", *, launch_only=False, **options):
        daemon = Daemon(configuration, globals, **options)
        daemons.append(daemon)
        return daemon.launch() if launch_only else daemon.start()

    yield start
    with contextlib.ExitStack() as closing:
        for daemon in daemons:
            closing.callback(daemon.close)


@pytest.fixture
def traffic():
    """Starts traffic generators; what still runs is ended with the test."""
    with contextlib.ExitStack() as running:
        yield lambda mode, *arguments: running.enter_context(Traffic(mode, *arguments))


@pytest.fixture
def servers():
    """Registers servers to be stopped with the test: `server = servers(EchoServer())`."""
    with contextlib.ExitStack() as running:
        yield running.enter_context


@pytest.fixture
def log():
    """A syslog receiver; the configuration names it by `log.address`."""
    receiver = LogReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def scratch():
    """A directory with a short path, readable by unprivileged processes, for files and unix sockets."""
    with tempfile.TemporaryDirectory(prefix="sluice.") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates by common name, each made once: certificates("web1")."""
    directory, made = tmp_path_factory.mktemp("certificates"), {}

    def certificate(common_name, *names):
        names = names or ("www.example.test",)
        if (common_name, names) not in made:
            made[common_name, names] = make_certificate(directory, common_name, names)
        return made[common_name, names]

    return certificate


@pytest.fixture(params=["splice", "copy"])
def relay(request):
    """Both ways to move bytes: the lines of the `global` section that choose one."""
    return {"splice": "", "copy": "nosplice"}[request.param]
