"""One deployment script, from its files to its end.

Sources: "Use deployment scripts in Bicep" and "Create deployment scripts" (variables, folders,
outputs, error codes). How the service's own wrapper splits arguments is not published; assumed: as
a shell does, without expansion.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shlex
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestrator import az_configuration
from orchestrator.clock import Clock
from orchestrator.localcloud.downloads import DownloadError, bare, download
from orchestrator.localcloud.durations import write_duration
from orchestrator.localcloud.runtime import process_tree
from orchestrator.localcloud.runtime.executor_process import inherited_environment, spawn
from orchestrator.localcloud.runtime.model import ContainerHandle, ReplicaEnvironment
from orchestrator.localcloud.runtime.process_memory import MemoryWatch
from orchestrator.localcloud.runtime.python_site import lead_python
from orchestrator.localcloud.scripts.folders import Log, ScriptFolder
from orchestrator.localcloud.scripts.model import (
    ALWAYS,
    CLI,
    HELP,
    ON_EXPIRATION,
    Ending,
    Failure,
    Script,
)
from orchestrator.localcloud.scripts.stand_ins import StandIn, StandInError, stand_in

_log = logging.getLogger(__name__)

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes of one script that is downloaded (assumed: as of templates)."""

GRACE = 5.0
"""Seconds from being told to end to being ended."""

Started = Callable[[str], Coroutine[Any, Any, None]]
"""Told when a script's process runs, with a mark by which that is found again."""

_OUTPUTS = "scriptoutputs.json"
_NOT_FOUND = 127
_MISSING = re.compile(r"(?:^|[\s:])(az|jq): (?:command )?not found")
_PACKAGES = {
    "az": "the Azure CLI (`pip install azure-cli` in an environment of its own)",
    "jq": "jq",
}

# What PowerShell runs: the user's script in its own scope, then what it has put out.
_WRAPPER = """\
$ErrorActionPreference = 'Continue'
$DeploymentScriptOutputs = @{{}}
. ./{script} {arguments}
$DeploymentScriptOutputs | ConvertTo-Json -Depth 100 | Set-Content $env:AZ_SCRIPTS_OUTPUT_PATH
"""


class ScriptRuns:
    """Runs scripts.

    Args:
        state: The local cloud's state folder.
        project: Folder of orchestrator.toml, which says what stands for scripts; None for none.
        connection: The content of `cloud.json`, for the configuration of `az`.
        environment: Gives the variables of the platform for a resource, as to a job's replica.
        clock: By which scripts time out.
    """

    def __init__(
        self,
        *,
        state: Path,
        project: Path | None,
        connection: Mapping[str, Any],
        environment: ReplicaEnvironment,
        clock: Clock,
    ) -> None:
        self._state = state
        self._project = project
        self._connection = connection
        self._environment = environment
        self._clock = clock
        self._memory = MemoryWatch()

    def begin(self, script: Script, run: str) -> ScriptRun:
        """A run of a script that has not begun.

        run: The run's own name, by which its folder and its processes are found.
        """
        return ScriptRun(self, script, run)

    async def carry_out(self, run: ScriptRun, started: Started) -> Ending:
        """Run it to its end; see `ScriptRun.run`."""
        script, folder = run.script, run.folder
        try:
            other = stand_in(self._project, script.name)
        except StandInError as error:
            return _failed("DeploymentScriptExecutionFailed", str(error))
        try:
            folder.make()
        except OSError as error:
            why = error.strerror or error
            message = f"The folder of the script cannot be made: {why}."
            return _failed("DeploymentScriptBootstrapScriptExecutionFailed", message)
        log = Log(folder)
        try:
            if other is not None and not other.process:
                log.line("stdout", "Not run: orchestrator.toml says what its outputs are.")
                return Ending(outputs=other.outputs)
            return await self._process(run, other, log, started)
        finally:
            log.close()

    async def _process(
        self, run: ScriptRun, other: StandIn | None, log: Log, started: Started
    ) -> Ending:
        script, folder = run.script, run.folder
        try:
            words = list(other.process) if other else await _written(script, folder)
        except DownloadError as error:
            return _failed(
                "DeploymentScriptDownloadFailure",
                "The deployment script execution failed because the primary or supporting scripts "
                f"could not be downloaded: {error}. {HELP}",
            )
        except _NoInterpreterError as error:
            return _failed("DeploymentScriptExecutionFailed", str(error))
        async with self._environment(script.resource) as platform:
            env = self._variables(script, run, platform)
            where = other.folder if other else folder.input
            try:
                handle = await spawn(run.name, words, where, env, log, self._memory)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                message = f"'{words[0]}' could not be started: {why}."
                return _failed("DeploymentScriptExecutionFailed", message)
            noted = asyncio.ensure_future(started(handle.mark))
            try:
                ending = await self._until_over(run, handle, log)
            except BaseException:
                noted.cancel()
                await handle.stop(0.0)
                raise
            run.over.set()
            await noted
        if other is not None and other.outputs is not None and ending.failure is None:
            return Ending(outputs=other.outputs)
        return ending

    async def _until_over(self, run: ScriptRun, handle: ContainerHandle, log: Log) -> Ending:
        over = asyncio.ensure_future(handle.wait())
        late = asyncio.ensure_future(self._clock.sleep(run.script.time_out))
        halt = asyncio.ensure_future(run.halted.wait())
        try:
            await asyncio.wait((over, late, halt), return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                await handle.stop(0.0 if run.hurried else GRACE)
                if run.halted.is_set():
                    return Ending()
                allowed = write_duration(run.script.time_out)
                return _failed(
                    "DeploymentScriptExceededMaxAllowedTime",
                    "The execution time of the deployment script exceeded the timeout value "
                    f"'{allowed}' in its resource definition. {HELP}",
                )
            code = (await over).code
        finally:
            for waiting in (over, late, halt):
                waiting.cancel()
        if code != 0:
            return Ending(failure=Failure("DeploymentScriptError", _told(log, code)))
        return _outputs(run.folder)

    def _variables(self, script: Script, run: ScriptRun, platform: Mapping[str, str]) -> Any:
        env = inherited_environment(os.environ)
        env.update(platform)
        client = script.identities[0][1] if script.identities else None
        who = az_configuration.of_identity(client) if client else None
        try:
            config = az_configuration.write(run.folder.path, self._connection, who)
            env["AZURE_CONFIG_DIR"] = str(config)
        except OSError as error:
            _log.warning("no configuration of az for script %s: %s", script.name, error)
        manager = str(self._connection["resource_manager"])
        env["ARM_CLOUD_METADATA_URL"] = f"{manager}/metadata/endpoints?api-version=2019-05-01"
        env["AZ_SCRIPTS_AZURE_ENVIRONMENT"] = az_configuration.CLOUD
        env["AZ_SCRIPTS_CLEANUP_PREFERENCE"] = script.cleanup
        if script.identities:
            env["AZ_SCRIPTS_USER_ASSIGNED_IDENTITY"] = script.identities[0][0]
        env.update(script.variables)
        # "System reserved": a script's own variables of these names give way.
        env["AZ_SCRIPTS_OUTPUT_PATH"] = str(run.folder.output / _OUTPUTS)
        env["AZ_SCRIPTS_PATH_INPUT_DIRECTORY"] = str(run.folder.input)
        env["AZ_SCRIPTS_PATH_OUTPUT_DIRECTORY"] = str(run.folder.output)
        env["AZ_SCRIPTS_PATH_USER_SCRIPT_FILE_NAME"] = _file_name(script)
        env["AZ_SCRIPTS_PATH_PRIMARY_SCRIPT_URI_FILE_NAME"] = "primaryscripturi.config"
        env["AZ_SCRIPTS_PATH_SUPPORTING_SCRIPT_URI_FILE_NAME"] = "supportingscripturi.config"
        env["AZ_SCRIPTS_PATH_SCRIPT_OUTPUT_FILE_NAME"] = _OUTPUTS
        env["AZ_SCRIPTS_PATH_EXECUTION_RESULTS_FILE_NAME"] = "executionresult.json"
        env[process_tree.REPLICA_VARIABLE] = run.name
        lead_python(env)
        return env

    def folder(self, run: str) -> ScriptFolder:
        """The folder of a run, by the run's name."""
        return ScriptFolder(self._state, run)


class ScriptRun:
    """One run of one script.

    Attributes:
        script: What is run.
        name: The run's own name.
        folder: Where its files lie.
        halted: Set when it was told to end.
        hurried: Whether it is ended without being asked to.
        over: Set when its process has ended, or never will begin.
    """

    def __init__(self, runs: ScriptRuns, script: Script, name: str) -> None:
        self.script = script
        self.name = name
        self.folder = runs.folder(name)
        self.halted = asyncio.Event()
        self.hurried = False
        self._runs = runs
        self.over = asyncio.Event()

    async def run(self, started: Started) -> Ending:
        """Run it to its end; its files are cleaned up as it wants it."""
        ending = Ending(failure=Failure("DeploymentScriptOperationFailed", "It was not run."))
        try:
            ending = await self._runs.carry_out(self, started)
        finally:
            self.over.set()
            failed = ending.failure is not None
            keeps = self.script.cleanup == ON_EXPIRATION or (
                failed and self.script.cleanup != ALWAYS
            )
            if not keeps:
                await asyncio.to_thread(self.folder.clean)
        return ending

    async def stop(self, *, hurry: bool = False) -> None:
        """Tell it to end, and wait until its process has."""
        self.hurried = hurry
        self.halted.set()
        await self.over.wait()


class _NoInterpreterError(Exception):
    """This machine cannot run such a script; the message says what is missing."""


def _failed(code: str, message: str) -> Ending:
    return Ending(failure=Failure(code, message))


def _file_name(script: Script) -> str:
    return "userscript.sh" if script.kind == CLI else "userscript.ps1"


async def _written(script: Script, folder: ScriptFolder) -> Sequence[str]:
    """Lay the script and what it brings along into its folder; the command that runs it.

    Raises:
        DownloadError: An address cannot be had.
        _NoInterpreterError: Nothing here runs such scripts.
    """
    program = shutil.which("bash" if script.kind == CLI else "pwsh")
    if program is None:
        wanted, lacking = "Azure CLI", "`bash`"
        if script.kind != CLI:
            wanted, lacking = "Azure PowerShell", "`pwsh` (PowerShell 7, with the module Az)"
        raise _NoInterpreterError(
            f"The deployment script '{script.name}' is one of {wanted}, and this machine has no "
            f"{lacking} on the local cloud's PATH. Install it and start the local cloud again, or "
            f'say in orchestrator.toml what stands for it: [scripts."{script.name}"] with outputs '
            "= { … }, or process = […]."
        )
    name = _file_name(script)
    content = script.content.encode() if script.content else await _fetched(script.primary)
    _put(folder.input / name, content)
    for url in script.supporting:
        path = PurePosixPath(unquote(urlsplit(url).path)).name
        if path and path not in (".", "..") and "\\" not in path:
            _put(folder.input / path, await _fetched(url))
    if script.kind == CLI:
        return [program, f"./{name}", *_arguments(script.arguments)]
    # As the documentation has them written: quotes inside the JSON text are escaped once more.
    arguments = script.arguments.replace('\\"', '"')
    wrapper = _WRAPPER.format(script=name, arguments=arguments)
    _put(folder.input / "DeploymentScript.ps1", wrapper.encode())
    return [program, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", "./DeploymentScript.ps1"]


async def _fetched(url: str) -> bytes:
    try:
        return await download(url, FILE_LIMIT)
    except DownloadError as error:
        raise DownloadError(f"'{bare(url)}': {error}") from None


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o700)


def _arguments(text: str) -> list[str]:
    # As the documentation has them written: quotes inside the JSON text are escaped once more.
    with contextlib.suppress(ValueError):
        return shlex.split(text.replace('\\"', '"'))
    return text.split()


def _outputs(folder: ScriptFolder) -> Ending:
    """What a script that has succeeded has put out."""
    try:
        data = (folder.output / _OUTPUTS).read_bytes()
    except OSError:
        return Ending()
    if not data.strip():
        return Ending()
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return Ending(outputs=found)
    return _failed(
        "DeploymentScriptInvalidOutputs",
        f"The deployment script output is not a valid JSON object. {HELP}",
    )


def _told(log: Log, code: int) -> str:
    """What the service tells of a script that has failed: what it wrote to stderr."""
    said = "\n".join(log.errors)[-4000:].strip()
    if not said:
        return f"The provided script failed without returning any errors. {HELP}"
    missing = _MISSING.search(said)
    hint = ""
    if missing is not None and shutil.which(missing[1]) is None:
        hint = (
            f" This machine has no `{missing[1]}` on the local cloud's PATH, which Azure's image "
            f"has: install {_PACKAGES[missing[1]]}."
        )
    return f"The provided script failed with the following error:\r\n{said}.{hint} {HELP}"
