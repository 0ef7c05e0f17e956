// A chart of points, with what is under the cursor in words and all of its points in a table.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { element } from "./numbers.js";

const HEIGHT = 330;
export const FONT = "Inter, system-ui, sans-serif";
/** The colours of the page change with these. */
const SCHEMES = ["(prefers-color-scheme: dark)", "print"];

export class Chart {
  #host;
  #figure;
  #readout;
  #rows;
  #plot;
  #kind;
  #points = [];

  /**
   * A chart in `figure`, which is empty. Its `kind` tells of a point its `place` (x and y), its `cells` in the table and its
   * `words`, each a list, and may have the `paths` of the line, as uPlot makes them.
   */
  constructor(figure, kind) {
    this.#figure = figure;
    this.#kind = kind;
    this.#host = figure.querySelector(".chart");
    this.#readout = figure.querySelector(".readout");
    this.#rows = figure.querySelector("tbody");
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#host);
    const redraw = () => this.#plot?.redraw();
    for (const scheme of SCHEMES) matchMedia(scheme).addEventListener("change", redraw);
    document.fonts.ready.then(redraw);
  }

  /**
   * Empties the chart. The axes span all that will come, so that they stand still while it comes: each has `scale` and
   * `axis`, options of uPlot, as is the `padding` around them. Points have marks if `isMarked`, and `drawMore` draws what
   * uPlot does not.
   */
  begin({ x, y, padding, isMarked, drawMore }) {
    this.#points = [];
    this.#rows.replaceChildren();
    this.#host.ariaLabel = null;
    this.#plot?.destroy();
    const color = (name) => () => this.color(name);
    const axis = {
      stroke: color("--soft"),
      font: `12px ${FONT}`,
      labelFont: `500 12px ${FONT}`,
      labelSize: 24,
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
    };
    const options = {
      ...this.#size(),
      padding,
      legend: { show: false },
      cursor: { y: false, drag: { x: false }, points: { size: 10, fill: color("--accent") } },
      scales: { x: { time: false, ...x.scale }, y: y.scale },
      axes: [
        { ...axis, size: 28, ...x.axis },
        { ...axis, ...y.axis },
      ],
      series: [
        {},
        {
          stroke: color("--accent"),
          width: 2,
          paths: this.#kind.paths,
          points: { show: isMarked, size: 6, stroke: color("--accent"), fill: color("--paper") },
        },
      ],
      hooks: {
        drawAxes: drawMore ? [drawMore] : [],
        setCursor: [({ cursor }) => this.#read(this.#points[cursor.idx] ?? this.#points.at(-1))],
      },
    };
    this.#plot = new uPlot(options, [[], []], this.#host);
    this.#figure.dataset.points = 0;
  }

  add(...points) {
    this.#points.push(...points);
    const places = this.#points.map(this.#kind.place);
    this.#plot.setData([places.map(([x]) => x), places.map(([, y]) => y)]);
    this.#figure.dataset.points = this.#points.length;
    this.#read(this.#points.at(-1));
    this.#rows.append(...points.map((point) => this.#row(point)));
  }

  /** Says what the chart shows, for who does not see it. */
  end(describe) {
    this.#host.ariaLabel = describe(this.#points[0], this.#points.at(-1));
  }

  /** The colour of the page with this name, as it is now. */
  color(name) {
    return getComputedStyle(this.#host).getPropertyValue(name);
  }

  #row(point) {
    const row = element("tr");
    for (const content of this.#kind.cells(point)) {
      const cell = element("td");
      cell.append(...content);
      row.append(cell);
    }
    return row;
  }

  #read(point) {
    if (point) this.#readout.replaceChildren(...this.#kind.words(point));
  }

  #size() {
    return { width: this.#host.clientWidth, height: HEIGHT };
  }
}
