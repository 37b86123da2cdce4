"""
`python -m services --config flux.yaml` runs all stages in one terminal, each as its own process.

Their lines are prefixed with their names. If one ends by itself, all are stopped. It imports none
of them: it knows them by their commands, as an operator does.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from shared.config.load import ConfigError, load
from shared.runtime.children import run_all
from shared.runtime.errors import PermanentError
from shared.runtime.terminal import Terminal

SERVICES = ("cluster-applier", "repo-writer", "registry-scanner", "git-watcher", "gateway")
"""In the order in which they start: who takes work before who gives it. They stop the other way."""


def main() -> int:
    """Return 0 after SIGTERM or SIGINT, 1 if a service ended by itself, 2 for mistakes."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args().config
    try:
        config = load(path)
        for name in SERVICES:
            config.broker.url_of(name).read()
        if config.renderer:
            config.renderer.token.read()
    except (ConfigError, PermanentError) as error:
        print(f"nothing was started:\n{error}", file=sys.stderr)  # noqa: T201 - a terminal's
        return 2
    names = ("renderer", *SERVICES) if config.renderer else SERVICES
    commands = {
        name: (sys.executable, "-m", f"services.{name.replace('-', '_')}", "--config", str(path))
        for name in names
    }
    terminal = Terminal(sys.stdout.buffer, names)
    environment = terminal.environment() if config.log.format == "auto" else {}
    return asyncio.run(
        run_all(commands, terminal, grace=config.shutdown_grace, environment=environment)
    )


if __name__ == "__main__":
    sys.exit(main())
