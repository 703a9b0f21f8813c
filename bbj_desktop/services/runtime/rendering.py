"""Whether a runtime makes the same prompt of a conversation as training did."""

from __future__ import annotations

from bbj_desktop.core.differing import first_difference
from bbj_desktop.core.errors import EngineMismatchError
from bbj_desktop.core.progress import Remark, Report
from bbj_desktop.core.versions import InstalledVersion, PromptCheck


def compare_prompt(version: InstalledVersion, rendered: str | None, engine: str, report: Report) -> PromptCheck:
    """Compares what a runtime rendered with the example of the release, and says the result.

    Args:
        version: Its release names an example.
        rendered: The prompt; None when the runtime doesn't show it.
        engine: What rendered it, for a sentence's beginning: ``Ollama``.

    Raises:
        EngineMismatchError: They differ.
    """
    example = version.release.prompt.rendering
    if example is None:
        return PromptCheck.NO_EXAMPLE
    if rendered is None:
        report(Remark(f"{engine} doesn't show its prompts: that they are the training's can't be shown there."))
        return PromptCheck.NOT_SHOWN
    if rendered != example.prompt:
        raise EngineMismatchError(
            f"{engine} makes another prompt of a conversation than {version.key} was trained with.",
            hint=f"{first_difference(engine, rendered, 'the training', example.prompt)}\n"
            "Update the engine and try again, or use the other one (--runtime).",
        )
    report(Remark(f"{engine} makes the very prompt of a conversation that {version.key} was trained with."))
    return PromptCheck.EQUAL
