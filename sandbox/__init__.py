"""Everything that Flux meets, real and on loopback: broker, git server, registry, cluster."""
