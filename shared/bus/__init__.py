"""
How messages travel: the port that services see, RabbitMQ behind it, and its twin in memory.

`port` is what a service may ask. `names` and `layout` say what exists on the broker, `topology` is
the command that declares it. `worker` (partitions, lanes, groups) and `client` are the same for
every broker and meet it through `transport`; `rabbit` and `memory` implement that. `presence`
spreads partitions over replicas. Nobody else imports aio_pika.
"""
