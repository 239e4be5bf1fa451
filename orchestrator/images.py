"""The images of the jobs: built on a container engine, and pushed to the profile's registry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import Profile
from orchestrator.container_engine import EngineUnavailable, connect, said
from orchestrator.errors import BadInput, NotFound, NotReachable, OrchestratorError
from orchestrator.jobs.body import full_image
from orchestrator.records import Column, Records
from orchestrator.results import Record
from orchestrator.settings import ImageSpec, Settings

TIMEOUT = 600.0
"""Seconds that one step of a build or a push may be silent."""
_TOKEN_USER = "00000000-0000-0000-0000-000000000000"  # noqa: S105 - what a registry wants as the user of a token

Say = Callable[[str], None]


class Image(Record, frozen=True, kw_only=True):
    """An image that jobs run.

    name: its name in `[images.<name>]`. reference: what jobs pull. built: whether the engine has
    it. id: the engine's digest. size: bytes. jobs: who runs it.
    """

    name: str
    reference: str
    built: bool = False
    id: str = ""
    size: int = 0
    jobs: str = ""


class Images(Records[Image]):
    """Images, by name."""

    noun = "images"
    columns = (
        Column("name", "image"),
        Column("reference", "reference"),
        Column("built", "built"),
        Column("size", "size", "bytes"),
        Column("jobs", "jobs"),
    )


class ImageVerbs:
    """Builds, lists and pushes the images of `orchestrator.toml`.

    Args:
        settings: The file; `[images.<name>]` says what is built from what.
        profile: Whose credential pushes to Azure's registries.
        registry: Gives the registry that is put before a name without one; None: the profile's.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        registry: Callable[[], str | None] | None = None,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._registry = registry or (lambda: profile.registry)

    def __call__(self) -> Images:
        """As `every`."""
        return self.every()

    def every(self) -> Images:
        """Every image of the file under every reference that jobs use.

        Raises:
            NotReachable: No container engine answers.
        """
        with _engine() as client:
            return Images(
                self._record(client, name, reference, jobs)
                for name in sorted(self._settings.images)
                for reference, jobs in sorted(self._references(name).items())
            )

    def build(
        self,
        *names: str,
        args: Mapping[str, str] | None = None,
        network: str | None = None,
        say: Say = lambda line: None,
    ) -> Images:
        """Build images, those named or all that have a `build` folder.

        Args:
            names: Names of `[images.<name>]`.
            args: Build arguments, over those of the file.
            network: Network of the build's own commands, such as `host`; None: the engine's.
            say: Takes the engine's lines.

        Raises:
            BadInput: An image has no `build`, or its folder or Dockerfile is not there.
            NotFound: There is no such image.
            NotReachable: No container engine answers.
            OrchestratorError: A step of a build failed.
        """
        wanted = [(name, self._buildable(name)) for name in names or self._with_folder()]
        with _engine() as client:
            made = []
            for name, (spec, folder) in wanted:
                references = self._references(name)
                first, *others = references
                say(f"building {first}")
                steps = _engine_steps(
                    client.build,
                    path=str(folder),
                    dockerfile=spec.dockerfile or "Dockerfile",
                    buildargs={**spec.build_args, **(args or {})},
                    tag=first,
                    network_mode=network,
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
                _follow(steps, say, f"The image {name} was not built")
                for other in others:
                    repository, tag = _split(other)
                    client.tag(first, repository, tag)
                made += [self._record(client, name, one, jobs) for one, jobs in references.items()]
            return Images(made)

    def push(self, *names: str, say: Say = lambda line: None) -> Images:
        """Push images to the registry they name, those named or all that have a `build` folder.

        For `<name>.azurecr.io` a token is got for the profile's credential; for any other registry
        the engine's client has to be logged in, where it asks for that (`docker login`).

        Raises:
            BadInput: An image names no registry.
            NotFound: There is no such image, or it has not been built.
            NotReachable: No container engine answers.
            OrchestratorError: The registry refused.
        """
        wanted = [
            (name, self._references(name))
            for name in names or self._with_folder()
            if self._spec(name)
        ]
        for name, references in wanted:
            for reference in references:
                _registry(name, reference)
        with _engine() as client:
            pushed = []
            for name, references in wanted:
                for reference, jobs in references.items():
                    found = self._record(client, name, reference, jobs)
                    if not found.built:
                        raise NotFound(
                            f"{reference} has not been built.", f"orchestrator images build {name}"
                        )
                    say(f"pushing {reference}")
                    repository, tag = _split(reference)
                    registry = _registry(name, reference)
                    steps = _engine_steps(
                        client.push,
                        repository,
                        tag=tag,
                        stream=True,
                        decode=True,
                        auth_config=self._credentials(registry),
                    )
                    _follow(steps, say, f"{reference} was not pushed")
                    pushed.append(found)
            return Images(pushed)

    # ------------------------------------------------------------------ inside

    def _spec(self, name: str) -> ImageSpec:
        spec = self._settings.images.get(name)
        if spec is None:
            near = get_close_matches(name, self._settings.images, 1)
            raise NotFound(
                f'There is no image "{name}" in orchestrator.toml.',
                f'Did you mean "{near[0]}"?' if near else "See orchestrator images list",
            )
        return spec

    def _with_folder(self) -> list[str]:
        names = [name for name, spec in self._settings.images.items() if spec.build]
        if not names:
            raise BadInput(
                "No image of orchestrator.toml says what it is built from.",
                'Add build = "folder with a Dockerfile" to [images.<name>].',
            )
        return names

    def _buildable(self, name: str) -> tuple[ImageSpec, Path]:
        spec = self._spec(name)
        if not spec.build:
            raise BadInput(
                f'The image "{name}" does not say what it is built from.',
                f'Add build = "folder with a Dockerfile" to [images.{name}].',
            )
        folder = Path(self._settings.folder, spec.build).absolute()
        if not (folder / (spec.dockerfile or "Dockerfile")).is_file():
            raise BadInput(
                f"There is no {folder / (spec.dockerfile or 'Dockerfile')}.",
                f"Correct build or dockerfile of [images.{name}].",
            )
        return spec, folder

    def _references(self, name: str) -> dict[str, str]:
        """What jobs pull for an image -> the jobs that do; `<name>:latest` when there are none."""
        registry = self._registry()
        found: dict[str, list[str]] = {}
        for job, spec in self._settings.jobs.items():
            image = spec.image.replace("${registry}/", f"{registry}/" if registry else "")
            repository, _ = _split(image)
            if repository == name or repository.endswith(f"/{name}"):
                repository, tag = _split(full_image(image, registry))
                found.setdefault(f"{repository}:{tag}", []).append(job)
        if not found:
            found[f"{full_image(name, registry)}:latest"] = []
        return {reference: ", ".join(jobs) for reference, jobs in found.items()}

    def _record(self, client: Any, name: str, reference: str, jobs: str) -> Image:
        import docker.errors

        try:
            found = client.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return Image(name=name, reference=reference, jobs=jobs)
        return Image(
            name=name,
            reference=reference,
            built=True,
            id=str(found.get("Id", "")),
            size=int(found.get("Size") or 0),
            jobs=jobs,
        )

    def _credentials(self, registry: str) -> dict[str, str] | None:
        """For Azure's registries: a token of the profile's credential; None: the client's own.

        https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md, "Calling POST /oauth2/exchange".
        """
        if not registry.endswith(".azurecr.io"):
            return None
        if self._profile.kind == "local":
            raise BadInput(
                f"{registry} is a registry of Azure's, and the profile {self._profile.name} is of "
                "this machine.",
                "Set registry in the profile to one that you can push to, such as localhost:5000, "
                "or choose another --profile.",
            )
        import requests

        credential = Clients(self._profile).credential
        token = credential.get_token("https://management.azure.com/.default").token
        try:
            answer = requests.post(
                f"https://{registry}/oauth2/exchange",
                data={"grant_type": "access_token", "service": registry, "access_token": token},
                timeout=30,
            )
            answer.raise_for_status()
            refresh = str(answer.json()["refresh_token"])
        except (requests.RequestException, ValueError, KeyError) as error:
            raise OrchestratorError(
                f"{registry} gave no token ({type(error).__name__}).",
                "Check the registry's name, and that you have the role AcrPush on it.",
            ) from error
        return {"username": _TOKEN_USER, "password": refresh}


@contextlib.contextmanager
def _engine() -> Iterator[Any]:
    try:
        client = connect(TIMEOUT)
    except EngineUnavailable as error:
        raise NotReachable(error.message, error.hint) from error
    try:
        yield client
    finally:
        client.close()


def _engine_steps(call: Callable[..., Any], *args: Any, **options: Any) -> Iterator[dict[str, Any]]:
    import docker.errors
    import requests

    try:
        yield from call(*args, **options)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        yield {"error": said(error)}


def _follow(steps: Iterator[dict[str, Any]], say: Say, failed: str) -> None:
    last = ""
    for step in steps:
        text = str(step.get("stream") or step.get("status") or "").strip()
        if "error" in step:
            why = " ".join(str(step["error"]).split()).rstrip(".")
            raise OrchestratorError(
                f"{failed}: {why}.", f"The last step was: {last}" if last else ""
            )
        for line in text.splitlines():
            say(line)
            last = line


def _split(reference: str) -> tuple[str, str]:
    """(repository, tag); without a tag it is `latest`."""
    name = reference.split("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def _registry(name: str, reference: str) -> str:
    server, slash, _ = reference.partition("/")
    if not slash or not ("." in server or ":" in server or server == "localhost"):
        raise BadInput(
            f'The image "{name}" names no registry to push it to ({reference}).',
            "Set registry in the profile, or write it into the job's image.",
        )
    return server
