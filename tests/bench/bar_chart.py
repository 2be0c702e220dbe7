"""A chart of bars as SVG: groups of bars, each with its range; light and dark by what the reader's page is."""
from xml.sax.saxutils import escape, quoteattr

WIDTH, LEFT, RIGHT = 860, 200, 90
TITLE, LEGEND, BAR, GAP, GROUP_GAP, BOTTOM = 30, 26, 14, 3, 14, 34
# Of the series in their order, in the light and in the dark; charts have no more series than this.
COLOURS = (("#0969da", "#58a6ff"), ("#1a7f37", "#3fb950"), ("#bc4c00", "#f0883e"), ("#8250df", "#bc8cff"),
           ("#57606a", "#8b949e"))

STYLE = """  <style>
    text {{ fill: #1f2328; }}
    .small {{ font-size: 12px; fill: #57606a; }}
    .grid {{ stroke: #d0d7de; }}
    .range {{ stroke: #1f2328; }}
{light}
    @media (prefers-color-scheme: dark) {{
      text {{ fill: #e6edf3; }}
      .small {{ fill: #8b949e; }}
      .grid {{ stroke: #30363d; }}
      .range {{ stroke: #e6edf3; }}
{dark}
    }}
  </style>"""


def nice_step(most):
    """A step of 1, 2 or 5 times a power of ten that makes four to ten lines."""
    step = 10.0 ** -3
    while True:
        for factor in (1, 2, 5):
            if most / (step * factor) <= 8:
                return step * factor
        step *= 10


def bar(x_of, y, number, value, text):
    median, low, high = value
    middle = y + BAR / 2
    lines = [f'  <rect class="series{number}" x="{LEFT}" y="{y}" width="{x_of(median) - LEFT:.1f}" height="{BAR}"/>']
    if low != high:
        lines.append(f'  <path class="range" d="M{x_of(low):.1f} {middle} H{x_of(high):.1f}"/>')
    lines.append(f'  <text class="small" x="{max(x_of(median), x_of(high)) + 5:.1f}" y="{middle + 4}">{escape(text)}</text>')
    return lines


def svg(title, unit, series, groups, text_of, most=None):
    """The chart as text. series: names. groups: (name, [(median, lowest, highest) or None for each of the series]), in the
    order in which they are drawn, from above. text_of(value): what stands behind a bar. most: end of the axis."""
    values = [value for _, bars in groups for value in bars if value is not None]
    most = most or max((value[2] for value in values), default=0) or 1
    group_height = len(series) * (BAR + GAP) + GROUP_GAP
    top = TITLE + LEGEND
    height = top + len(groups) * group_height + BOTTOM

    def x_of(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value / most, 1)

    def styles(dark):
        return "\n".join(f"    {'  ' * dark}.series{i} {{ fill: {COLOURS[i][dark]}; }}" for i in range(len(series)))
    told = "; ".join(f"{name}: " + ", ".join(f"{one} {text_of(value)}" for one, value in zip(series, bars) if value)
                     for name, bars in groups)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
             'role="img" aria-labelledby="title description" font-family="system-ui, -apple-system, \'Segoe UI\', '
             '\'Liberation Sans\', Arial, sans-serif" font-size="13">',
             f'  <title id="title">{escape(title)}</title>', f'  <desc id="description">{escape(told)}</desc>',
             STYLE.format(light=styles(False), dark=styles(True)),
             f'  <text x="8" y="20" font-weight="600">{escape(title)}</text>']
    x = LEFT
    for number, name in enumerate(series):
        lines.append(f'  <rect class="series{number}" x="{x}" y="{TITLE + 2}" width="12" height="12"/>')
        lines.append(f'  <text class="small" x="{x + 17}" y="{TITLE + 12}">{escape(name)}</text>')
        x += 35 + 7 * len(name)
    step = nice_step(most)
    for number in range(int(most / step + 1e-9) + 1):
        x = x_of(number * step)
        lines.append(f'  <path class="grid" d="M{x:.1f} {top} V{height - BOTTOM + 4}"/>')
        lines.append(f'  <text class="small" text-anchor="middle" x="{x:.1f}" y="{height - BOTTOM + 18}">{number * step:g}</text>')
    lines.append(f'  <text class="small" x={quoteattr(str(WIDTH - RIGHT + 18))} y="{height - BOTTOM + 18}">{escape(unit)}</text>')
    y = top + GROUP_GAP // 2
    for name, bars in groups:
        middle = y + len(series) * (BAR + GAP) / 2 + 3
        lines.append(f'  <text text-anchor="end" x="{LEFT - 10}" y="{middle}">{escape(name)}</text>')
        for number, value in enumerate(bars):
            if value is not None:
                lines += bar(x_of, y + number * (BAR + GAP), number, value, text_of(value))
        y += group_height
    return "\n".join(lines) + "\n</svg>\n"
