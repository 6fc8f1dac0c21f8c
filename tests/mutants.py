"""Changes the function a little, in every place, one at a time, and asks whether the fast tests notice: `make mutants`.

It takes hours. Some modules alone, or packages: `make mutants ARGS="plan groups steps"`.

Which files are changed and which tests are asked stands in pyproject.toml under [tool.mutmut]. Before any test is
asked, mypy looks at the types of all changes at once: what `make lint` would refuse needs no test, and counts as
killed. So it is with more than half of them. mypy is asked for what is wrong alone, and not for what it calls needless.

A change that neither notices survives. It gets a test, or a line in survivors.txt under a comment that says why it may
stay; this program fails unless those lines and the survivors are the same. To look into a run:
`.venv/mutation/bin/mutmut browse`.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

NAMED = Path(__file__).with_name("survivors.txt")
KILLED = {"killed", "timeout", "caught by type check"}


def mutmut(*arguments: str) -> list[str]:
    done = subprocess.run(["mutmut", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def place(mutant: str) -> tuple[str, str]:
    """Return module and function of a mutant.

    They are called package.module.x_function__mutmut_1 and package.package.module.xǁClassǁmethod__mutmut_1.
    """
    module, _, name = mutant.removeprefix("dockerhub_rotation.").rpartition(".")
    return module, re.sub(r"^x[ǁ_]|__mutmut_\d+$", "", name).replace("ǁ", ".")


def described(mutant: str) -> str:
    """Return the change in a line: its place, what stands there, and what it became."""
    changed: dict[str, list[str]] = {"-": [], "+": []}
    for line in mutmut("show", mutant):
        if line[:1] in changed and line[:3] not in ("---", "+++"):
            changed[line[0]].append(line[1:].strip())
    return f"{'.'.join(place(mutant))}: {' '.join(changed['-'])}  =>  {' '.join(changed['+'])}"


def main(modules: list[str]) -> int:
    def is_asked_for(place: str) -> bool:
        return not modules or place.startswith(tuple(f"{module}." for module in modules))

    shutil.rmtree("mutants", ignore_errors=True)  # what it remembers does not know that a test has changed
    subprocess.run(
        ["mutmut", "run", "--max-children", "2", *(f"dockerhub_rotation.{module}.*" for module in modules)], check=True
    )
    every = dict(line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true"))
    verdicts = {mutant: it for mutant, it in every.items() if is_asked_for(mutant.removeprefix("dockerhub_rotation."))}
    survivors = [mutant for mutant, verdict in verdicts.items() if verdict not in KILLED]

    made, alive = (Counter(place(mutant)[0] for mutant in mutants) for mutants in (verdicts, survivors))
    width = max(map(len, made), default=0)
    print()
    for module, count in made.items():
        print(f"{module:{width}}{count:4} mutants, {count - alive[module]:4} killed, {alive[module]:3} survive")

    found = Counter(described(mutant) for mutant in survivors)
    lines = (line for line in NAMED.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    named = Counter(filter(is_asked_for, lines))
    for line in (found - named).elements():
        print(f"Survives without a reason in {NAMED.name}:\n  {line}")
    for line in (named - found).elements():
        print(f"Has a reason in {NAMED.name}, and does not survive:\n  {line}")
    if found == named:
        print(f"Every survivor has its reason in {NAMED.name}.")
    return int(found != named)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
