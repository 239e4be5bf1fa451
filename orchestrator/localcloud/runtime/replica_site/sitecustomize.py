"""Runs when Python starts in a replica: Azure's names lead to the local cloud, which is trusted.

A program written for Azure dials `<namespace>.servicebus.windows.net:5671` and trusts the
authorities that certifi carries. In a replica of the local cloud this module is the first
`sitecustomize` on PYTHONPATH, and

* name resolution of the addresses in ORCHESTRATOR_LOCAL_ROUTES (`host:port=ip:port`, separated by
  spaces) gives the local cloud's ports. Only the way there differs: TLS still names, and verifies,
  the host that the program asked for;
* `certifi.where()` is the bundle of public authorities and the local one.

It imports nothing: the two modules are changed when the program imports them itself. A
`sitecustomize` elsewhere on the path is run as it would have been.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Types would have to be imported, in every Python process of every replica.

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not loaded


def _routes(text):
    routes = {}
    for entry in text.split():
        name, _, target = entry.partition("=")
        host, _, port = name.rpartition(":")
        to_host, _, to_port = target.rpartition(":")
        if host and to_host and port.isdigit() and to_port.isdigit():
            routes[host.lower(), int(port)] = to_host, int(to_port)
    return routes


def _prepare_socket(socket):
    routes = _routes(os.environ.get("ORCHESTRATOR_LOCAL_ROUTES", ""))
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        try:
            name = host.decode("ascii") if isinstance(host, (bytes, bytearray)) else host
            host, port = routes[name.lower().rstrip("."), int(port)]
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        return resolve(host, port, *args, **kwargs)

    getaddrinfo.__doc__ = resolve.__doc__
    if routes:
        socket.getaddrinfo = getaddrinfo


def _prepare_certifi(certifi):
    bundle = os.environ.get("SSL_CERT_FILE", "")
    if not os.path.isfile(bundle):  # noqa: PTH113
        return

    def where():
        return bundle

    def contents():
        with open(bundle, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read()

    for module in (certifi, getattr(certifi, "core", None)):
        if module is not None:
            module.where, module.contents = where, contents


def _leave(module):
    """What a module that has been changed already needs."""


class _Prepares:
    """A finder that changes a few modules right after they have been executed."""

    steps = {"socket": _prepare_socket, "certifi": _prepare_certifi}  # noqa: RUF012

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in cls.steps:
            return None
        for finder in sys.meta_path:
            if finder is cls or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is not None:

            def exec_module(module):
                execute(module)
                cls.steps.pop(name, _leave)(module)

            # The loader of a frozen module is a class of the interpreter's: not ours to change.
            if not isinstance(loader, type):
                loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]
        return spec


def _install():
    for name in list(_Prepares.steps):
        # What an even earlier start-up file (.pth) has imported is changed at once.
        if name in sys.modules:
            _Prepares.steps.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _Prepares)


def _chain():
    """Run the `sitecustomize` that this one stands before."""
    others = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None or finder is _Prepares:
            continue
        spec = find("sitecustomize", others)
        # An editable install's own finder may not look at the path it is given.
        if spec is not None and spec.origin and os.path.dirname(spec.origin) != _HERE:  # noqa: PTH120
            from importlib.util import module_from_spec

            module = module_from_spec(spec)
            sys.modules["sitecustomize"] = module
            spec.loader.exec_module(module)
            return


_install()
_chain()
