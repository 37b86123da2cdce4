"""`python -m services.cluster_applier --config flux.yaml`."""

from services.cluster_applier.main import main

main()
