"""The tools that ``mcp`` offers. Imported where the package ``mcp`` is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, TypeVar

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context as Request
from mcp.server.mcpserver.exceptions import ToolError

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.generating import (
    CodeRequest,
    GeneratedCode,
    Generation,
    generate_code,
    lines_of,
    validate_code,
)
from bbj_desktop.cli.results.answers import ValidatedCode
from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from bbj_desktop.core.progress import Cancel, Event, Report, Step

Result = TypeVar("Result")
AnyRequest = Request[Any, Any]


def declare_tools(server: MCPServer, context: Context, model: str | None) -> None:
    """Offers the two tools; the protocol's descriptions are their docstrings."""

    async def generate_bbj_code(
        request: AnyRequest, prompt: str, generation: Generation, surrounding_code: str = ""
    ) -> GeneratedCode:
        """Writes BBj code. Generation is the kind of BBj: character, vpro5, bbj-gui or dwc. Surrounding code, if given,
        is what the new code belongs into. What the BBj compiler refuses is mended, up to three times; the verdict says
        whether the code compiles, fails, or was not judged because there is no compiler."""
        wanted = CodeRequest(prompt=prompt, generation=generation, surrounding=surrounding_code)
        return await _in_thread(
            request, lambda report, cancel: generate_code(context, wanted, report, cancel, model=model)
        )

    async def validate_bbj_syntax(request: AnyRequest, code: str) -> ValidatedCode:
        """Has the BBj compiler check the syntax of a program or class. Gives the lines that it refuses, or "not judged"
        where there is no compiler."""
        checked = await _in_thread(request, lambda _report, cancel: validate_code(context, code, cancel))
        return ValidatedCode(
            verdict=checked.syntax.verdict,
            lines=lines_of(checked.syntax),
            types=checked.types.verdict if checked.types else None,
            type_lines=lines_of(checked.types),
        )

    for tool in (generate_bbj_code, validate_bbj_syntax):
        server.add_tool(tool)


async def _in_thread(request: AnyRequest, job: Callable[[Report, Cancel], Result]) -> Result:
    """Runs a blocking job beside the protocol; a client that takes its request back stops it."""
    cancel = Cancel()
    steps = count(1)

    def report(event: Event) -> None:
        if isinstance(event, Step) and not cancel.is_set:
            anyio.from_thread.run(partial(request.report_progress, next(steps), message=event.text))

    try:
        return await anyio.to_thread.run_sync(job, report, cancel, abandon_on_cancel=True)
    except Cancelled:
        raise ToolError("Stopped.") from None
    except BBjDesktopError as error:
        raise ToolError(f"{error.message} {error.hint}".strip()) from error
    finally:
        cancel.cancel()
