"""An interrupt ends a call, whatever a library made of it."""

import os
import signal
import time

import pytest

from echoseg.cli.batch import Batch, run_batch
from echoseg.cli.sources import Source


class Swallowing:
    """A worker whose library turns the interrupt of the first case into an error of its own, or into nothing."""

    model = None

    def __init__(self, error: Exception | None) -> None:
        self.error, self.calls = error, 0

    def __call__(self, source, case_dir, watch):
        self.calls += 1
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            if self.error is not None:
                raise self.error from None
        quality = {"flag": "pass", "reasons": []}
        return {"source": str(source.path), "unit": "mL", "ef_range": None, "warnings": [], "quality": quality}


@pytest.mark.parametrize("error", [RuntimeError("callback failed"), None], ids=["other error", "nothing"])
def test_a_swallowed_interrupt_still_ends_the_call(tmp_path, error):
    """It was recorded as a failed case, and the call went on."""
    cases = tuple(Source(f"c{i}", tmp_path / f"c{i}.avi") for i in range(3))
    worker = Swallowing(error)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="--skip-existing"):
        run_batch(Batch("segment", ("segment",), cases, tmp_path / "out"), lambda: worker)
    assert worker.calls == 1
    assert signal.getsignal(signal.SIGINT) is handler
