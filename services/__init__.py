"""The stages of Flux, each a process of its own. They meet only on the bus."""
