// Draws the charts that evaluation/bag/charts.py describes, with uPlot. Those over time share one cursor.
const HEIGHT = 190;

function clock(seconds) {
  if (seconds == null) return "–";
  const rounded = Math.round(seconds * 100) / 100;
  if (rounded < 60) return rounded + " s";
  const minutes = Math.floor(rounded / 60), rest = Math.round(rounded - 60 * minutes);
  if (minutes < 60) return minutes + ":" + String(rest).padStart(2, "0");
  return Math.floor(minutes / 60) + ":" + String(minutes % 60).padStart(2, "0") + ":" + String(rest).padStart(2, "0");
}

function figure(value) {
  return value == null ? "–" : Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

function drawn(chart, holder, width) {
  const overTime = chart.kind === "time";
  const axis = { stroke: themed("soft"), grid: { stroke: themed("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const half = chart.x.length > 1 ? (chart.x[1] - chart.x[0]) / 2 : 0.5;  // of a bar, so that none is cut
  const named = chart.kind === "names";
  const names = named ? chart.labels.map((name) => name.split(" ")) : [];
  const nameAxis = { size: 12 + 15 * Math.max(1, ...names.map((words) => words.length)), splits: () => chart.x, values: () => names.map((words) => words.join("\n")) };
  const whole = !overTime && chart.x.every(Number.isInteger);
  const bars = uPlot.paths.bars({ size: [0.85, 60] });
  const label = overTime ? (u, value) => clock(value) : (u, value, series, index) => index == null ? "–" : chart.labels[index];
  const options = {
    width, height: HEIGHT,
    cursor: overTime ? { sync: { key: "time" }, drag: { x: true, y: false } } : { drag: { x: false, y: false } },
    scales: {
      x: { time: false, ...(overTime ? {} : { range: (u, low, high) => [low - half, high + half] }) },
      y: { range: (u, low, high) => {
        if (low == null) return [0, 1];
        const bottom = chart.low == null ? low : Math.min(low, chart.low);
        const top = chart.low == null ? high : Math.max(high, chart.low);  // bars below zero begin there, too
        const room = (top - bottom || Math.abs(top) || 1) * 0.08;
        return [chart.low == null || low < chart.low ? bottom - room : chart.low, top + room];
      } },
    },
    axes: [
      named ? { ...axis, ...nameAxis, grid: { show: false } } : { ...axis, size: 28, values: (u, ticks) => ticks.map((tick) => overTime ? clock(tick) : figure(tick)), space: 60, ...(whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] } : {}) },
      { ...axis, size: (u, labels) => Math.max(46, ...(labels ?? []).map((label) => 14 + 7 * label.length)), values: (u, ticks) => ticks.map(figure) },
    ],
    series: [
      { label: overTime ? "at" : chart.axis, value: label },
      ...chart.series.map((series) => ({
        label: series.name, stroke: themed(series.color), width: 1.5,
        value: (u, value) => figure(value), points: { show: chart.x.length < 60, size: 5 },
        ...(overTime ? {} : { paths: bars, fill: themed(series.color), width: 0, points: { show: false } }),
      })),
    ],
  };
  return new uPlot(options, [chart.x, ...chart.series.map((series) => series.values)], holder);
}

function drawAll(charts) {
  const plots = new Map();
  const draw = (chart) => {
    const holder = document.querySelector("#" + CSS.escape(chart.id) + " .plot");
    plots.get(chart.id)?.destroy();
    plots.set(chart.id, drawn(chart, holder, holder.clientWidth));
  };
  charts.forEach(draw);
  onTheme(() => charts.forEach(draw));
  const observer = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const plot = plots.get(entry.target.parentElement.id), width = Math.floor(entry.contentRect.width);
      if (plot && width > 0 && plot.width !== width) plot.setSize({ width, height: HEIGHT });
    }
  });
  charts.forEach((chart) => observer.observe(document.querySelector("#" + CSS.escape(chart.id) + " .plot")));
  return plots;
}
