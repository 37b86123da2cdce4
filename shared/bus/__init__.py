"""
How messages travel: the port that services see, RabbitMQ behind it, and its twin in memory.

`port` is what a service may ask. `names` and `topology` say what exists on the broker. `worker`
(partitions, lanes, groups) and `client` are the same for every broker and meet it through
`transport`; `rabbit` and `memory` implement that. Nobody else imports aio_pika.
"""
