"""Unbinds and binds a driver under avocado, and judges the order in which it releases its resources.

    avocado run devres.py -p driver=my_driver
    avocado run devres.py                        # every device that can be unbound safely
    avocado run devres.py -p recording=trace.dvrt

The reports and the recording are left in the test's output directory.
"""

import subprocess
from pathlib import Path

from avocado import Test


class Devres(Test):
    """What `devres-tracer check` says of a driver."""

    def test(self):
        output = Path(self.outputdir)
        command = ["devres-tracer", "check"]
        for report, name in (("ktap", "ktap.txt"), ("junit", "junit.xml"), ("json", "results.json")):
            command.append(f"--report={report}={output / name}")
        recording = self.params.get("recording", default="")
        driver = self.params.get("driver", default="")
        if recording:
            command.append(str(recording))
        else:
            command += ["--record", str(output / "trace.dvrt")]
            command += ["--cycles", str(self.params.get("cycles", default=10))]
            command += ["--exercise", str(driver)] if driver else ["--exercise-all"]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            self.cancel("devres-tracer is not installed")
        said = ended.stderr.strip()
        self.log.info(said)
        if ended.returncode == 1:
            self.fail(said)
        elif ended.returncode == 4 and not recording:
            self.cancel(said)
        elif ended.returncode != 0:
            # Inconclusive, called wrongly, or a recording that can't be read: none is a pass, nor to be skipped.
            self.error(said)
