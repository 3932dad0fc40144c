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

figure, axes = plt.subplots(figsize=(10, 1 + 0.4 * max(1, len(readable))), layout="constrained")
for row, task in enumerate(readable):
    assert task.project_id and task.task_id
    for run in c.runs.list(task.project_id, task.task_id):
        if run.start_time is None:
            continue
        start = run.start_time
        end = run.end_time or datetime.now(timezone.utc)
        left, right = dates.date2num(start), dates.date2num(end)  # type: ignore[no-untyped-call]
        color = COLORS.get(run.outcome, "tab:gray")
        # An edge, so that a run of a second can be seen beside one of a week.
        axes.barh(row, right - left, left=left, height=0.6, color=color, edgecolor=color, linewidth=2)
axes.set_yticks(range(len(readable)), [f"{task.project_id}/{task.task_id}" for task in readable])
axes.invert_yaxis()
axes.xaxis_date()
axes.margins(x=0.02)
axes.legend(handles=[Patch(color=color, label=how or "running") for how, color in COLORS.items()])
axes.set_title(f"{len(readable)} tasks in {c.root}")
figure.savefig(folder / "runs.png")

# %% [markdown]
# ## What they used
#
# Tokens by task. A run that did not tell what it used is counted, and never as zero: its task has a star.

# %%
report = c.usage(by="task")
figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
names = [f"{s.name}{' *' if s.unknown_usage else ''}" for s in report.sums]
bottom = [0] * len(names)
for part in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"):
    tokens = [getattr(s.usage, part) or 0 for s in report.sums]
    axes.bar(names, tokens, bottom=bottom, label=part.removesuffix("_tokens").replace("_", " "))
    bottom = [low + more for low, more in zip(bottom, tokens)]
axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
axes.set_ylim(bottom=0)
axes.set_ylabel("tokens")
axes.legend()
cost = "unknown" if report.total.cost_usd is None else f"{report.total.cost_usd:.2f} $"
axes.set_title(f"{report.total.runs} runs, cost {cost} ({report.total.unknown_cost} did not tell)")
figure.savefig(folder / "usage.png")

for unreadable in report.damage:
    print("cannot be read:", unreadable.error)
print(f"{folder / 'runs.png'} and {folder / 'usage.png'}")
