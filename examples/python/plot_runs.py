# %% [markdown]
# # Runs and what they used
#
# Reads a root and plots it: when runs ran and how they ended, and what they cost. Open it as a notebook
# (VS Code, Jupyter with jupytext), or run it: ``python plot_runs.py [ROOT [FOLDER]]`` writes ``runs.png`` and
# ``usage.png``. Needs matplotlib. It only reads.

# %%
from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import matplotlib.dates as dates
import matplotlib.pyplot as plt
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

import conductor

args = sys.argv[1:] if Path(sys.argv[0]).name == Path(__file__).name else []
c = conductor.open(args[0] if args else None)
folder = Path(args[1]) if len(args) > 1 else Path()

# %% [markdown]
# ## When they ran

# %%
COLORS: dict[str | None, str] = {
    "completed": "tab:green",
    "failed": "tab:red",
    "stopped": "tab:orange",
    None: "tab:blue",
}

tasks = [task for project in c.projects() for task in c.tasks.list(project.project_id)]
# A record that cannot be read has an error, and nothing to plot.
readable = [task for task in tasks if task.error is None]

figure, axes = plt.subplots(figsize=(10, 1.5 + 0.35 * max(1, len(readable))), layout="constrained")
for row, task in enumerate(readable):
    assert task.project_id and task.task_id
    for run in c.runs.list(task.project_id, task.task_id):
        if run.start_time is None:
            continue
        start = run.start_time
        end = run.end_time or datetime.now(timezone.utc)
        left, right = dates.date2num(start), dates.date2num(end)  # type: ignore[no-untyped-call]
        color = COLORS.get(run.outcome, "tab:gray")
        axes.barh(row, right - left, left=left, height=0.5, color=color)
        # So that a run of a second can be seen beside one of a week.
        axes.plot(right, row, marker="o", markersize=5, color=color)
axes.set_yticks(range(len(readable)), [f"{task.project_id}/{task.task_id}" for task in readable])
axes.invert_yaxis()
locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
axes.xaxis_date()
axes.xaxis.set_major_locator(locator)
axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
axes.use_sticky_edges = False
axes.margins(x=0.02)
axes.grid(axis="x", alpha=0.3)
figure.legend(
    handles=[Patch(color=color, label=how or "running") for how, color in COLORS.items()],
    loc="outside lower center",
    ncols=len(COLORS),
)
axes.set_title(f"{len(readable)} tasks in {c.root}")
figure.savefig(folder / "runs.png")

# %% [markdown]
# ## What they used
#
# Tokens by task. A run that did not tell what it used is counted, and never as zero: its task has a star.

# %%
report = c.usage(by="task")
names = [f"{s.name}{' *' if s.unknown_usage else ''}" for s in report.sums]
figure, axes = plt.subplots(figsize=(10, 1.5 + 0.35 * max(1, len(names))), layout="constrained")
left_of = [0] * len(names)
for part in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"):
    tokens = [getattr(s.usage, part) or 0 for s in report.sums]
    label = part.removesuffix("_tokens").replace("_", " ")
    axes.barh(range(len(names)), tokens, left=left_of, height=0.5, label=label)
    left_of = [low + more for low, more in zip(left_of, tokens)]
axes.set_yticks(range(len(names)), names)
axes.invert_yaxis()
axes.set_xlim(0, max(left_of, default=0) * 1.02 or 1)
axes.xaxis.set_major_formatter(EngFormatter(sep=""))
axes.set_xlabel("tokens")
axes.grid(axis="x", alpha=0.3)
if not any(left_of):
    axes.set_xticks([])
    axes.text(0.5, 0.5, "no run told what it used", transform=axes.transAxes, ha="center")
figure.legend(loc="outside lower center", ncols=4)
cost = "unknown" if report.total.cost_usd is None else f"{report.total.cost_usd:.2f} $"
axes.set_title(f"{report.total.runs} runs, cost {cost} ({report.total.unknown_cost} did not tell)")
figure.savefig(folder / "usage.png")

for unreadable in report.damage:
    print("cannot be read:", unreadable.error)
print(f"{folder / 'runs.png'} and {folder / 'usage.png'}")
