"""The workbench, the trainer or both are killed in the middle of a run that was started from the page."""

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

from fer_core.runs.folder import RunFolder
from tests.browser.conftest import WAIT, Workbench, start_server
from tests.browser.test_train import TRAINING, start


class Bench:
    """A server of the session's workspace that can be killed and started again at the same address."""

    def __init__(self, home: Workbench) -> None:
        self.home = home.home
        self.port = 0
        self.begin()

    def begin(self) -> None:
        self.workbench, self.server = start_server(self.home, self.port)
        self.port = int(self.workbench.url.rpartition(":")[2])

    def kill(self) -> None:
        self.server.kill()
        self.server.wait()


@pytest.fixture
def bench(workbench: Workbench) -> Iterator[Bench]:
    bench = Bench(workbench)
    yield bench
    bench.kill()
    status = RunFolder.named("survivor").look()
    if status.active and status.pid:
        psutil.Process(status.pid).kill()


def learns_on(run: RunFolder) -> None:
    """Wait until the run has finished another epoch."""
    before, end = len(run.metrics()), time.monotonic() + WAIT
    while len(run.metrics()) == before:
        assert time.monotonic() < end, run.status()
        time.sleep(0.05)


def test_a_run_outlives_its_workbench_and_is_found_and_resumed_after_both_were_killed(page: Page, bench: Bench) -> None:
    page.goto(bench.workbench.link("train"))
    start(page, "survivor", epochs=5000)
    run, main, link = RunFolder.named("survivor"), page.get_by_test_id("stMain"), page.url
    expect(main.get_by_text("Training with")).to_be_visible(timeout=TRAINING)
    trainer = run.status().process
    bench.kill()
    learns_on(run)
    bench.begin()
    page.goto(link)
    expect(main.get_by_text("Training with")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=TRAINING)  # epochs come without a reload
    page.reload()
    expect(main.get_by_text("Training with")).to_be_visible()
    assert run.status().process == trainer
    learns_on(run)

    bench.kill()
    os.kill(trainer.pid, signal.SIGKILL)
    while trainer.lives():
        time.sleep(0.01)
    done = len(run.metrics())
    bench.begin()
    page.goto(link)
    expect(
        main.get_by_text("Lost. The process ended without a word; resume continues from the last save.")
    ).to_be_visible()
    main.get_by_role("button", name="Resume").click()
    expect(main.get_by_text("Training with")).to_be_visible(timeout=TRAINING)
    learns_on(run)
    assert run.metrics()[done - 1].epoch == done  # what had been learned is kept
    main.get_by_role("button", name="Stop").click()
    expect(main.get_by_text("Stopped and saved; resume continues from here.")).to_be_visible()
    expect(main.get_by_role("button", name="Resume")).to_be_visible()
    assert run.status().state == "stopped"
    expect(page.get_by_test_id("stException")).to_have_count(0)
