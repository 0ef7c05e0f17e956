// The way to π: the error of the approximations against their terms, both on logarithmic axes.
import uPlot from "uplot";
import { convergence } from "./api.js";
import { Chart, FONT } from "./chart.js";
import { counted, grouped, scientific, signed, spoken } from "./numbers.js";

const POINTS = 60;
const LOGARITHMIC = 3;

const KIND = {
  place: ({ terms, error }) => [terms, error],
  cells: ({ terms, result, error }) => [[grouped(terms)], [result], scientific(error)],
  words: ({ terms, error }) => [`${counted(terms, "term")}: off by `, ...scientific(error)],
};

const stillness = matchMedia("(prefers-reduced-motion: reduce)");

export class Convergence {
  #figure;
  #chart;

  constructor(figure) {
    this.#figure = figure;
    this.#chart = new Chart(figure, KIND);
  }

  /**
   * Draws the way to π, up to this many terms. One point comes a frame, so that the eye can follow, unless a person wants no
   * motion.
   */
  async draw(terms, pi, signal) {
    this.#begin(terms, pi.error);
    try {
      for await (const point of convergence(terms, POINTS, signal)) {
        if (!stillness.matches) await new Promise(requestAnimationFrame);
        if (signal.aborted) return;
        this.#chart.add(point);
      }
      this.#chart.end(description);
    } catch {
      // The values are there; the curve is an extra.
      if (!signal.aborted) this.#figure.hidden = true;
    }
  }

  #begin(terms, error) {
    const xs = [1, Number(`1e${Math.ceil(Math.log10(terms))}`)];
    const ys = [Number(`1e${Math.floor(Math.log10(error))}`), 1];
    const compact = new Intl.NumberFormat("en", { notation: "compact" });
    const splits = (_, __, min, max) => decades(min, max);
    this.#chart.begin({
      x: {
        scale: { distr: LOGARITHMIC, range: () => xs },
        // uPlot leaves out, as null, what would not fit.
        axis: { label: "Terms", splits, values: (_, splits) => splits.map((terms) => terms && compact.format(terms)) },
      },
      y: {
        scale: { distr: LOGARITHMIC, range: () => ys },
        // Its numbers are powers of ten, which are written by hand.
        axis: { label: "Error: π minus the approximation", size: 44, splits, values: (_, splits) => splits.map(() => "") },
      },
      isMarked: true,
      drawMore: (plot) => drawPowers(plot, ys, this.#chart.color("--soft")),
    });
  }
}

function description(first, last) {
  return (
    `The error of the approximation falls from ${spoken(first.error)} with ${counted(first.terms, "term")} ` +
    `to ${spoken(last.error)} with ${counted(last.terms, "term")}: ten times the terms, a tenth of the error.`
  );
}

/** Writes the powers of ten beside their axis, since no font that is sure to be there has all raised digits. */
function drawPowers(plot, [min, max], color) {
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  const right = bbox.left - 8 * ratio;
  ctx.save();
  ctx.fillStyle = color;
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

/** The powers of ten from one to another. */
function decades(min, max) {
  return Array.from({ length: exponent(max) - exponent(min) + 1 }, (_, step) => Number(`1e${exponent(min) + step}`));
}

/** Of a power of ten. */
function exponent(power) {
  return Math.round(Math.log10(power));
}
