"""`python -m services.gateway --config flux.yaml`."""

from services.gateway.main import main

main()
