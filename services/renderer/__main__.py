"""`python -m services.renderer --config flux.yaml`."""

from services.renderer.main import main

main()
