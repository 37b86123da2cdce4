"""
Changes the repository: what images were found for, and what people order.

In: images.found (facts), update.requested (orders), plan.question. Out: update.pushed,
update.rejected, order.completed, order.rejected, plan.made. Read `handlers` for how a group becomes
commits, `domain` for what is written and why, `editing` for how files change, `git_repo` for how
it lands.
"""
