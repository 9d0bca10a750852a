"""The node's rescue page: looking at what this node holds while the portal is down.

Pages made on the server, without a script. They use what every other exit uses: the query engine,
corrections, rendered pictures; what is rejected or quarantined is hidden here too.
"""
