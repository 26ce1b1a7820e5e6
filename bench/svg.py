"""Plots as SVG, with nothing but Python: lines through points on linear or logarithmic axes.

A point that does not count (its load was too busy) is drawn hollow. Pure: data in, text out.
"""
import math
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 78, 16, 40, 52
COLOURS = ["#0b6bcb", "#d1495b", "#2a9d5c", "#b7791f", "#6b4fbb"]


def short(value):
    """A tick's label: 1500000 is 1.5M, 0.25 is 0.25."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


class Axis:
    """Values to a place between `begin` and `end`, and the ticks that fit."""

    def __init__(self, values, logarithmic, begin, end):
        self.begin, self.end = begin, end
        positive = [value for value in values if value > 0]
        self.logarithmic = logarithmic and bool(positive)
        if self.logarithmic:
            self.least, self.most = math.floor(math.log10(min(positive)) + 1e-9), math.ceil(math.log10(max(positive)) - 1e-9)
            self.most = max(self.most, self.least + 1)
            self.ticks = [10.0 ** power for power in range(self.least, self.most + 1)]
            return
        step = self.step_of(max(max(values, default=1), 0) or 1)
        self.least, self.most = 0, step * math.ceil(max(max(values, default=1), step) / step - 1e-9)
        self.ticks = [step * i for i in range(round(self.most / step) + 1)]

    @staticmethod
    def step_of(most):
        """1, 2 or 5 times a power of ten, so that there are four to ten ticks."""
        power = 10.0 ** math.floor(math.log10(most))
        return next(power * part for part in (0.1, 0.2, 0.5, 1, 2) if most / (power * part) <= 10)

    def place(self, value):
        if self.logarithmic:
            value = math.log10(value) if value > 0 else self.least
        share = (value - self.least) / (self.most - self.least)
        return self.begin + (self.end - self.begin) * min(max(share, 0), 1)


def text(x, y, words, anchor="middle", size=12, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{extra}>{escape(words)}</text>'


def axes(x_axis, y_axis, x_label, y_label):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e3e6ea"/>'
        yield text(x, bottom + 16, short(tick), size=11)
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e3e6ea"/>'
        yield text(LEFT - 6, y + 4, short(tick), "end", 11)
    yield f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#8a929c"/>'
    yield text((LEFT + right) / 2, HEIGHT - 14, x_label)
    middle = (TOP + bottom) / 2
    yield text(18, middle, y_label, extra=f' transform="rotate(-90 18 {middle:.1f})"')


def line(points, colour, x_axis, y_axis):
    places = [(x_axis.place(x), y_axis.place(y), counts) for x, y, counts in points]
    if len(places) > 1:
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)}"/>'
    for x, y, counts in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" stroke="{colour}" stroke-width="1.5" fill="{colour if counts else "#ffffff"}"/>'


def plot(title, x_label, y_label, series, log_x=False, log_y=False):
    """An SVG document. series: {name: [(x, y, counts), …]}, at most five; an empty one is left out."""
    series = {name: sorted(points) for name, points in series.items() if points}
    if len(series) > len(COLOURS):
        raise ValueError(f"{len(series)} series: {len(COLOURS)} is the most that can be told apart")
    every = [point for points in series.values() for point in points]
    x_axis = Axis([x for x, _, _ in every], log_x, LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y, _ in every], log_y, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="system-ui, sans-serif" fill="#1f2933">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', text(LEFT, 22, title, "start", 14, ' font-weight="600"')]
    parts += axes(x_axis, y_axis, x_label, y_label)
    for colour, points in zip(COLOURS, series.values()):
        parts += line(points, colour, x_axis, y_axis)
    at = WIDTH - RIGHT
    for colour, name in reversed(list(zip(COLOURS, series))):
        parts += [text(at, 22, name, "end", 12, f' style="fill:{colour}"')]
        at -= 7.2 * len(name) + 14
    if not every:
        parts += [text(WIDTH / 2, HEIGHT / 2, "nothing was measured")]
    return "\n".join(parts + ["</svg>"]) + "\n"
