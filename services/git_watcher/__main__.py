"""`python -m services.git_watcher --config flux.yaml`."""

from services.git_watcher.main import main

main()
