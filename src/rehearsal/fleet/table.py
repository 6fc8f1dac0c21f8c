"""The table of a fleet, a column for each scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from rehearsal.fleet.scenes import Past, Report, Scene
from rehearsal.fleet.world import NOT_LOCKED, Fleet
from rehearsal.invariants import NO_LEAK, NO_REMAINS, ONLY_OURS, WORKS
from rehearsal.shown import saying


def show(scenes: Iterable[Scene], console: Console) -> bool:
    """Let fleets rotate, show what it took, and return whether every secret was rotated and every invariant held."""
    scenes = tuple(scenes)
    reports = []
    with saying(console) as say:
        for number, scene in enumerate(scenes, 1):
            console.print(_described(scene))
            say(f"{number} of {len(scenes)}: {scene.secrets} secrets rotate, which takes up to half a minute")
            reports.append(Fleet(scene).rotate())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for scene in scenes:
        name = f"{scene.per_minute} a minute" if scene.past is Past.DUE_AT_ONCE else str(scene.past)
        table.add_column(name, justify="right")

    def row(name: str, *values: object) -> None:
        table.add_row(name, *(str(value) for value in values))

    row("secrets rotated", *(report.rotated for report in reports))
    row("virtual time", *(f"{report.seconds // 60:.0f} min {report.seconds % 60:02.0f} s" for report in reports))
    row("requests", *(sum(report.requests.values()) for report in reports))
    row("  to AWS", *(report.requests["AWS"] for report in reports))
    row("  to Docker Hub", *(report.requests["Docker Hub"] for report in reports))
    row("  answered 429", *(report.rate_limited for report in reports))
    row("logins with the password", *(report.logins for report in reports))
    row("logins refused", *(report.refused_logins for report in reports))
    row("lockouts of the user name", *(report.lockouts for report in reports))
    row("sandboxes", *(report.sandboxes for report in reports))
    row("failed attempts", *(sum(report.failed_attempts.values()) for report in reports))
    for error in dict.fromkeys(error for report in reports for error in report.failed_attempts):
        row(f"  {error}", *(report.failed_attempts[error] for report in reports))
    row("native retries", *(report.retries for report in reports))
    for invariant in (WORKS, ONLY_OURS, NOT_LOCKED, NO_REMAINS, NO_LEAK):
        row(invariant, *(_held(report, invariant) for report in reports))
    console.print()
    console.print(table)
    return all(
        report.rotated == scene.secrets and not sum(report.broken.values())
        for scene, report in zip(scenes, reports, strict=True)
    )


def show_days(scenes: Iterable[Scene], console: Console) -> bool:
    """Let the caretaker look after fleets for a day, show what it took, and return whether all was as it must be.

    Each scene is shown as it is, with one-time codes, and with a wrong password.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "secrets",
        "",
        "AWS an hour",
        "Docker Hub an hour",
        "refused logins",
        "lockouts",
        "unknown",
        "seconds",
    ):
        table.add_column(name, justify="right")
    well = True
    console.print("\nThe caretaker looks after them every hour of a day, each time in a fresh sandbox.\n")
    with saying(console) as say:
        for scene in scenes:
            for two_factor, wrong in ((False, False), (True, False), (False, True)):
                fleet = Fleet(replace(scene, two_factor=two_factor))
                special = "wrong password" if wrong else "one-time codes" if two_factor else ""
                if wrong:
                    fleet.aws.put_parameter("DOCKER_HUB_PASSWORD", "not the password")
                say(f"A day of {scene.secrets} secrets{f', {special}' if special else ''}")
                day = fleet.watch()
                well &= not day.lockouts and max(day.refused_logins) <= wrong and not any(day.unknown)
                table.add_row(
                    str(scene.secrets),
                    special,
                    *(str(max(hour[party] for hour in day.requests)) for party in ("AWS", "Docker Hub")),
                    *(str(number) for number in (sum(day.refused_logins), day.lockouts, sum(day.unknown))),
                    f"{max(day.seconds):.1f}",
                )
    console.print(table)
    return well


_BEFORE = {
    Past.DUE_AT_ONCE: "{many} are due in the same second",
    Past.TIDIED_UP: "the disabled tokens of {many} have been deleted",
    Past.LEAKED: "the tokens in use of {many} have been deleted, because they leaked",
    Past.SHARED: "{many} began with one shared token and have one of their own each by now",
}


def _described(scene: Scene) -> str:
    second = ", with two-factor login" if scene.two_factor else ""
    mixed = ", every fifth of them with a token of an organization" if scene.mixed else ""
    before = _BEFORE[scene.past].format(many=f"{scene.secrets} secrets of one account{second}{mixed}")
    return (
        f"{before[0].upper()}{before[1:]}, and all rotate at once.\n"
        f"  Docker Hub answers {scene.per_minute} requests a minute, the function has {scene.timeout:g} s, "
        f"Secrets Manager tries {scene.attempts} times, {scene.pause:g} s apart."
    )


def _held(report: Report, invariant: str) -> str:
    times = report.broken.get(invariant, 0)
    if times:
        return f"[red]broken {times} times[/]"
    return "[green]holds[/]" if invariant in report.broken else "-"
