"""Keep the documentation true: links resolve, cited steps exist, the command line's reference is what it says.

``--write`` renews docs/cli.md from the commands' own help.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
MENTION = re.compile(r"`?(docs/[A-Za-z0-9_./-]+\.md)`?")
SPECS = (
    "appraisal|attested-channel|vault-log|sealed-record|sync|accounts|floors-and-notices|ra-tls|attested-ca"
    "|remote-verifier"
)
CITED = re.compile(rf'"({SPECS}) (\d+(?:\.\d+)?)')


def pages() -> list[Path]:
    """List the pages that are written by hand."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def broken_links() -> list[str]:
    """Find links and mentions of pages that are not there."""
    problems = []
    for page in pages():
        text = page.read_text()
        for target, _ in LINK.findall(text):
            if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
                problems.append(f"{page.relative_to(ROOT)}: link to {target}, which does not exist")
    for source in [*pages(), *(ROOT / "src").rglob("*.py")]:
        for target in MENTION.findall(source.read_text()):
            if not (ROOT / target).exists():
                problems.append(f"{source.relative_to(ROOT)}: mentions {target}, which does not exist")
    return problems


def missing_steps() -> list[str]:
    """Find findings that cite a step which the specification does not have."""
    problems = []
    for source in (ROOT / "src").rglob("*.py"):
        for spec, step in CITED.findall(source.read_text()):
            text = (ROOT / "docs" / "spec" / f"{spec}.md").read_text()
            if not re.search(rf"^(#+ |\| ?\**|\* |- )?\**{re.escape(step)}\b", text, re.MULTILINE):
                problems.append(f"{source.relative_to(ROOT)}: cites {spec} {step}, which the specification lacks")
    return problems


def command_reference() -> str:
    """Render the help of every command, as an 80-column terminal without colours shows it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "COLUMNS": "80",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
    }

    def help_of(*arguments: str) -> str:
        command = [sys.executable, "-I", "-m", "strongroom", *arguments, "--help"]
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        return "\n".join(line.rstrip() for line in shown.strip().splitlines())

    overview = help_of()
    verbs = commands_in(overview)
    parts = [
        "# The command line",
        "",
        "This page is made from the commands' own help by `python scripts/check_docs.py --write`.",
        "",
        "Exit codes: 0 done, 1 misconfigured, 2 malformed input, 3 refused by the appraisal, 4 the store misbehaved,",
        "5 not authorised, 6 somebody else was first, 7 unavailable.",
        "",
        f"```\n{overview}\n```",
    ]
    for verb in verbs:
        shown = help_of(verb)
        parts += ["", f"## strongroom {verb}", "", f"```\n{shown}\n```"]
        for inner in commands_in(shown) if "COMMAND [ARGS]" in shown else []:
            below = help_of(verb, inner)
            parts += ["", f"### strongroom {verb} {inner}", "", f"```\n{below}\n```"]
            for third in commands_in(below) if "COMMAND [ARGS]" in below else []:
                text = help_of(verb, inner, third)
                parts += ["", f"#### strongroom {verb} {inner} {third}", "", f"```\n{text}\n```"]
    return "\n".join(parts) + "\n"


def commands_in(shown: str) -> list[str]:
    """Read the commands off a help text."""
    return re.findall(r"^\W*│ ([a-z][a-z-]+) ", shown, re.MULTILINE)


def main() -> int:
    """Check everything and say what is wrong."""
    page = ROOT / "docs" / "cli.md"
    reference = command_reference()
    if "--write" in sys.argv[1:]:
        page.write_text(reference)
    problems = broken_links() + missing_steps()
    if not page.exists() or page.read_text() != reference:
        problems.append("docs/cli.md is not what the commands say; run `python scripts/check_docs.py --write`")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"documentation: {len(pages())} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
