"""`python -m services.registry_scanner --config flux.yaml`."""

from services.registry_scanner.main import main

main()
