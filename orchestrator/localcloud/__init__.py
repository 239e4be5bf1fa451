"""The local cloud: a server that speaks Azure's own protocols, for Azure's own clients.

A house of its own: of the control plane it imports the clock, the list of Azure's resource types
and the finder of container engines, and nothing else. Where to begin reading:

server.py      every room, opened in order and wired to the others; config.py: what it is
               started with
process.py     the same server as a background process, as `orchestrator local up` wants it
server_process.py   that process, as the system knows it: which it is, whether it lives
state.py       the folder in which all that is durable lies, and the lock that gives it one owner
identity*.py   tokens, whom they are for, and the HTTP endpoints that hand them out

Behind the wire there is one room for each thing that Azure has: `arm` and the `providers`,
`templates` and `deployments`, `servicebus` on top of `amqp`, `runtime`, `logs`, `metrics`,
`alerts`. `steering` moves the clock and makes faults. docs/architecture.md has the seams.
"""
