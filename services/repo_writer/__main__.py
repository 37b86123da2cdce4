"""`python -m services.repo_writer --config flux.yaml`."""

from services.repo_writer.main import main

main()
