"""
Runs the generators and updaters of `.flux.yaml` files: other people's programs.

It holds nothing: no key of git, no cluster, no user of the broker. It gets the files of a
repository and commands by HTTP, from git-watcher and repo-writer, and returns what the commands
print or change; nothing stays. Read `http_api` for the request, `programs` for how a command is
kept in, `workspace` for what is taken of its changes.
"""
