// The error of the approximations against their terms, both on logarithmic axes.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { counted, element, grouped, scientific, signed, spoken } from "./numbers.js";

const HEIGHT = 330;
const LOGARITHMIC = 3;
const FONT = "Inter, system-ui, sans-serif";
/** The colours of the page change with these. */
const SCHEMES = ["(prefers-color-scheme: dark)", "print"];

/** A chart in `figure`, empty; `add` takes one point after the other. */
export class Chart {
  #host;
  #figure;
  #readout;
  #rows;
  #plot;
  #points = [];

  constructor(figure) {
    this.#figure = figure;
    this.#host = figure.querySelector(".chart");
    this.#readout = figure.querySelector(".readout");
    this.#rows = figure.querySelector("tbody");
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#host);
    const redraw = () => this.#plot?.redraw();
    for (const scheme of SCHEMES) matchMedia(scheme).addEventListener("change", redraw);
    document.fonts.ready.then(redraw);
  }

  /** Empties the chart. The axes span all that will come, so that they stand still while it comes. */
  begin({ terms, error }) {
    this.#points = [];
    this.#rows.replaceChildren();
    this.#host.ariaLabel = null;
    this.#plot?.destroy();
    const xs = [1, Number(`1e${Math.ceil(Math.log10(terms))}`)];
    const ys = [Number(`1e${Math.floor(Math.log10(error))}`), 1];
    const color = (name) => () => this.#color(name);
    const axis = {
      stroke: color("--soft"),
      font: `12px ${FONT}`,
      labelFont: `500 12px ${FONT}`,
      labelSize: 24,
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      splits: (_, __, min, max) => decades(min, max),
    };
    const compact = new Intl.NumberFormat("en", { notation: "compact" });
    // uPlot leaves out, as null, what would not fit.
    const labels = (label) => (_, splits) => splits.map((value) => value && label(value));
    const options = {
      ...this.#size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false }, points: { size: 10, fill: color("--accent") } },
      scales: { x: { time: false, distr: LOGARITHMIC, range: () => xs }, y: { distr: LOGARITHMIC, range: () => ys } },
      axes: [
        { ...axis, label: "Terms", size: 28, values: labels((terms) => compact.format(terms)) },
        // Its numbers are powers of ten, which are written by hand.
        { ...axis, label: "Error: π minus the approximation", size: 44, values: (_, splits) => splits.map(() => "") },
      ],
      series: [
        {},
        {
          stroke: color("--accent"),
          width: 2,
          points: { show: true, size: 6, stroke: color("--accent"), fill: color("--paper") },
        },
      ],
      hooks: {
        drawAxes: [(plot) => this.#drawPowers(plot, ys)],
        setCursor: [({ cursor }) => this.#read(this.#points[cursor.idx] ?? this.#points.at(-1))],
      },
    };
    this.#plot = new uPlot(options, [[], []], this.#host);
    this.#figure.dataset.points = 0;
  }

  add(point) {
    this.#points.push(point);
    this.#plot.setData([this.#points.map(({ terms }) => terms), this.#points.map(({ error }) => error)]);
    this.#figure.dataset.points = this.#points.length;
    this.#read(point);

    const row = element("tr");
    row.append(element("td", grouped(point.terms)), element("td", point.result), element("td"));
    row.lastChild.append(...scientific(point.error));
    this.#rows.append(row);
  }

  /** What the chart shows, for who does not see it. */
  end() {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    this.#host.ariaLabel =
      `The error of the approximation falls from ${spoken(first.error)} with ${counted(first.terms, "term")} ` +
      `to ${spoken(last.error)} with ${counted(last.terms, "term")}: ten times the terms, a tenth of the error.`;
  }

  /** Writes the powers of ten beside their axis, since no font that is sure to be there has all raised digits. */
  #drawPowers(plot, [min, max]) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const right = bbox.left - 8 * ratio;
    ctx.save();
    ctx.fillStyle = this.#color("--soft");
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const value of decades(min, max)) {
      const middle = plot.valToPos(value, "y", true);
      const raised = value === 1 ? "" : signed(exponent(value));
      ctx.font = `${9 * ratio}px ${FONT}`;
      ctx.fillText(raised, right, middle - 4 * ratio);
      const { width } = ctx.measureText(raised);
      ctx.font = `${12 * ratio}px ${FONT}`;
      ctx.fillText(value === 1 ? "1" : "10", right - width, middle);
    }
    ctx.restore();
  }

  #color(name) {
    return getComputedStyle(this.#host).getPropertyValue(name);
  }

  #read(point) {
    if (point) this.#readout.replaceChildren(`${counted(point.terms, "term")}: off by `, ...scientific(point.error));
  }

  #size() {
    return { width: this.#host.clientWidth, height: HEIGHT };
  }
}

/** The powers of ten from one to another. */
function decades(min, max) {
  return Array.from({ length: exponent(max) - exponent(min) + 1 }, (_, step) => Number(`1e${exponent(min) + step}`));
}

/** Of a power of ten. */
function exponent(power) {
  return Math.round(Math.log10(power));
}
