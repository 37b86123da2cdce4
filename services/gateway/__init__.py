"""
The door for people and webhooks: Flux v1's HTTP API, and ours under `/api/v1`.

In: every event, from the log. Out: update.requested, suspend.requested (orders), poll.requested,
scan.requested, sync.requested (signals), and questions. It holds nothing but its own tokens: what
it knows it folds from the log, see `domain.view`. Read `http_api` for the routes, `handlers` for
what they do.
"""
