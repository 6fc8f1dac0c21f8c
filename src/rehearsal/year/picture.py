"""The picture of a stretch of time, as SVG: the life of each token, what happened, and who was refused."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from rehearsal.year.almanac import AILMENTS, Trouble
from rehearsal.year.chronicle import Chronicle, Life, Span, State
from rehearsal.year.consumers import Consumer
from rehearsal.year.moments import DAY, HOUR
from rehearsal.year.words import interval_in_words

_WIDTH, _LEFT, _RIGHT = 1000, 262, 918
_TOP, _ROW, _GAP = 151, 17, 30

_STYLE = """\
  .paper { fill: #ffffff; } text { fill: #1f2328; font: 12px system-ui, sans-serif; }
  .title { font-size: 17px; font-weight: 600; } .head { font-weight: 600; } .dim { fill: #59636e; }
  .line { stroke: #d1d9e0; } .end { text-anchor: end; } .middle { text-anchor: middle; }
  .active { fill: #1a7f37; } .grace { fill: #bf8700; } .pinned { fill: #1b7c83; } .disabled { fill: #818b98; }
  .orphan { fill: #bc4c00; } .waiting { fill: #bf3989; }
  .rotated { fill: #0969da; } .failed { stroke: #cf222e; stroke-width: 1.6; } .deed { fill: #8250df; }
  .healed { fill: #1a7f37; } .refused { fill: #cf222e; } .outage { fill: #cf222e; opacity: .22; }
  .password { fill: #bf8700; opacity: .25; } .tag { fill: #0969da; opacity: .2; }
  .behind { fill: #bf3989; opacity: .12; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; } text { fill: #f0f6fc; } .dim { fill: #9198a1; } .line { stroke: #3d444d; }
    .active { fill: #3fb950; } .grace { fill: #e3b341; } .pinned { fill: #39c5cf; } .disabled { fill: #656c76; }
    .orphan { fill: #f0883e; } .waiting { fill: #f778ba; }
    .rotated { fill: #4493f8; } .failed { stroke: #ff7b72; } .deed { fill: #ab7df8; }
    .healed { fill: #3fb950; } .refused { fill: #ff7b72; } .outage { fill: #f85149; opacity: .3; }
    .password { fill: #e3b341; opacity: .4; } .tag { fill: #4493f8; opacity: .35; }
    .behind { fill: #f778ba; opacity: .2; }
  }"""

# A disabled token is of use to nobody: its bar is thin. Widths are at least what can be seen.
_BARS = {
    State.ACTIVE: ("active", 11, 1.0),
    State.GRACE: ("grace", 11, 3.0),
    State.DISABLED: ("disabled", 4, 1.0),
    State.ORPHAN: ("orphan", 11, 2.0),
}

_BANDS = {
    Trouble.OUTAGE: "outage",
    Trouble.PASSWORD: "password",
    Trouble.TAG: "tag",
    **dict.fromkeys(AILMENTS, "behind"),
}

_LEGEND = (
    ("active", "active"),
    ("grace", "superseded, in its grace"),
    ("pinned", "superseded, pinned by somebody"),
    ("waiting", "superseded, kept for the replica"),
    ("disabled", "disabled"),
    ("orphan", "left by a failure"),
    ("refused", "refused logins"),
    ("behind", "the replica does not follow"),
    ("outage", "Docker Hub is down"),
    ("password", "the function has an old password"),
    ("tag", "a tag of the secret is wrong"),
)


def draw(chronicle: Chronicle, consumers: tuple[Consumer, ...], expected: list[int]) -> str:
    """Return the picture.

    Args:
        consumers: in the order in which the chronicle has them.
        expected: how often each should have been refused.
    """
    return _Picture(chronicle, consumers, expected).drawn()


class _Picture:
    def __init__(self, chronicle: Chronicle, consumers: tuple[Consumer, ...], expected: list[int]) -> None:
        self._chronicle = chronicle
        self._consumers = consumers
        self._expected = expected
        self._marks_at = _TOP + 22
        self._tokens_at = self._marks_at + 3 * _ROW + _GAP
        self._consumers_at = self._tokens_at + len(chronicle.lives) * _ROW + _GAP
        self._bottom = self._consumers_at + len(consumers) * _ROW
        self._height = self._bottom + 22

    def drawn(self) -> str:
        chronicle = self._chronicle
        days = chronicle.stretch.days
        title = f"{'A year' if days == 365 else f'{days} days'} of one secret"
        refused = sum(met.refused for met in chronicle.consumers)
        happened = (
            f"{len(chronicle.rotations)} rotations, {len(chronicle.heals)} heals, {len(chronicle.failures)} failed "
            f"attempts, {chronicle.stretch.days * 24:,} looks of the caretaker. Superseded tokens stay active for "
            f"{chronicle.stretch.grace}, and while they are kept."
        )
        met = (
            f"{sum(met.logins for met in chronicle.consumers):,} logins, of which {refused:,} were refused, as "
            "schedules say: with copies older than the grace, or of a token that somebody took away in use."
        )
        size = f'viewBox="0 0 {_WIDTH} {self._height}" width="{_WIDTH}" height="{self._height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">',
            f'<title id="title">{title}</title>',
            f'<desc id="desc">{happened} {met}</desc>',
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{self._height}" rx="8"/>',
            _text(16, 28, title, "title"),
            _text(16, 48, happened, "dim"),
            _text(16, 65, met, "dim"),
            *self._legend(),
            *self._months(),
            *self._troubles(),
            *self._marks(),
            *self._tokens(),
            *self._logins(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _legend(self) -> Iterator[str]:
        """Rows of four, at the width of the widest in any font."""
        for number, (css, text) in enumerate(_LEGEND):
            x, y = 16 + number % 4 * 244, 80 + number // 4 * _ROW
            height = 4 if css == "disabled" else 11
            yield f'<rect class="{css}" x="{x}" y="{y + (11 - height) / 2:g}" width="11" height="{height}"/>'
            yield _text(x + 17, y + 10, text)

    def _months(self) -> Iterator[str]:
        """A line every thirty days; in a short stretch, every day."""
        step = 30 if self._chronicle.stretch.days > 60 else 1
        for day in range(0, self._chronicle.stretch.days + 1, step):
            x = self._x(day * DAY)
            yield f'<line class="line" x1="{x:.1f}" y1="{_TOP + 12}" x2="{x:.1f}" y2="{self._bottom}"/>'
            yield _text(x, _TOP + 6, f"day {day}" if not day else str(day), "dim middle")

    def _troubles(self) -> Iterator[str]:
        top = _TOP + 12
        for trouble in self._chronicle.troubles:
            yield self._rect(_BANDS[Trouble(trouble.what)], trouble.begin, trouble.end, top, self._bottom - top, 1.5)

    def _marks(self) -> Iterator[str]:
        y = self._marks_at
        rotations, failures = len(self._chronicle.rotations), len(self._chronicle.failures)
        yield _text(16, y + 10, "▲ rotations, ✕ failed attempts", "head")
        yield _text(_RIGHT + 8, y + 10, f"{rotations}, {failures}", "dim")
        for failure in self._chronicle.failures:
            way = f"M{self._x(failure.at) - 3:.1f} {y + 9}l6 6m0 -6l-6 6"
            yield f'<path class="failed" d="{way}"><title>{escape(failure.what)}</title></path>'
        for rotation in self._chronicle.rotations:
            yield f'<path class="rotated" d="M{self._x(rotation.end):.1f} {y}l4 7h-8z"><title>rotated</title></path>'
        y += _ROW
        yield _text(16, y + 10, "✚ heals: a dead token is replaced", "head")
        yield _text(_RIGHT + 8, y + 10, str(len(self._chronicle.heals)), "dim")
        for heal in self._chronicle.heals:
            way = f"M{self._x(heal.end) - 1.5:.1f} {y + 1}h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z"
            yield f'<path class="healed" d="{way}"><title>healed</title></path>'
        y += _ROW
        yield _text(16, y + 10, "◆ what people do by hand", "head")
        yield _text(_RIGHT + 8, y + 10, str(len(self._chronicle.deeds)), "dim")
        for deed in self._chronicle.deeds:
            way = f"M{self._x(deed.at):.1f} {y + 1}l4 5l-4 5l-4 -5z"
            yield f'<path class="deed" d="{way}"><title>{escape(deed.what)}</title></path>'

    def _tokens(self) -> Iterator[str]:
        yield _text(16, self._tokens_at - 8, "Tokens", "head")
        for number, life in enumerate(self._chronicle.lives):
            y = self._tokens_at + number * _ROW
            yield _text(16, y + 10, f"{number + 1}, {life.origin}")
            yield from self._life(number, life, y)

    def _life(self, number: int, life: Life, y: float) -> Iterator[str]:
        pins = [pin for pin in self._chronicle.pins if pin.token == number]
        ends = [*(phase.at for phase in life.phases[1:]), self._chronicle.stretch.seconds]
        bars = [(phase, end) for phase, end in zip(life.phases, ends, strict=True) if phase.state in _BARS]
        # What is short is drawn over what is long.
        for phase, end in sorted(bars, key=lambda bar: bar[0].at - bar[1]):
            if end - phase.at < 1:
                continue  # a token between its creation and the storing of its value
            css, height, least = _BARS[phase.state]
            over = end if phase.deadline is None else phase.deadline
            if kept := self._kept(over, end, pins):
                yield self._rect(kept, over, end, y, height, least)
                end = over
            yield self._rect(css, phase.at, end, y + (11 - height) / 2, height, least)

    def _kept(self, over: float, end: float, pins: list[Span]) -> str | None:
        """Return how a token is drawn that is kept when its grace is over; None if the next look takes it."""
        if any(pin.end > over for pin in pins):
            return "pinned"
        behind = any(span.begin < end - HOUR and span.end > over for span in self._chronicle.behind)
        return "waiting" if behind and end - over > HOUR else None

    def _logins(self) -> Iterator[str]:
        yield _text(16, self._consumers_at - 8, "Consumers: how long they keep it", "head")
        yield _text(_WIDTH - 10, self._consumers_at - 8, "refused", "dim end")
        for number, (met, consumer) in enumerate(zip(self._chronicle.consumers, self._consumers, strict=True)):
            y = self._consumers_at + number * _ROW
            yield _text(16, y + 10, f"{met.name}: {interval_in_words(consumer.interval)}")
            yield f'<line class="line" x1="{_LEFT}" y1="{y + 5.5}" x2="{_RIGHT}" y2="{y + 5.5}"/>'
            for run in met.refusals:
                yield self._rect("refused", run.first, run.last, y, 11, 1.5)
            right = self._expected[number] == met.refused
            yield _text(
                _WIDTH - 10, y + 10, f"{met.refused:,}" + ("" if right else f", not {self._expected[number]:,}"), "end"
            )

    def _rect(self, css: str, begin: float, end: float, y: float, height: float, least: float) -> str:
        x = self._x(begin)
        width = max(least, self._x(end) - x)
        return f'<rect class="{css}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{height:g}"/>'

    def _x(self, moment: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * moment / self._chronicle.stretch.seconds


def _text(x: float, y: float, text: str, css: str = "") -> str:
    of_class = f' class="{css}"' if css else ""
    return f'<text x="{x:g}" y="{y:g}"{of_class}>{escape(text, quote=False)}</text>'
