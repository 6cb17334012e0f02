// @ts-check
/**
 * Zipf's law by rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from
 * monotone discrete distributions", ACM TOMACS 6(3), 1996. Exact, without a table, and no slower for a million ranks
 * than for ten. Names are the paper's: H is the integral of the density h.
 */

/**
 * @param {number} count of ranks
 * @param {number} exponent above 0; rank k has the weight k ** -exponent
 * @param {() => number} random
 * @returns {() => number} ranks from 0, the most frequent
 */
export function zipf(count, exponent, random) {
  /** @param {number} x */
  const h = (x) => Math.exp(-exponent * Math.log(x))
  /** @param {number} x */
  const H = (x) => {
    const log = Math.log(x)
    return expm1Over((1 - exponent) * log) * log
  }
  /** @param {number} x */
  const inverseOfH = (x) => Math.exp(log1pOver(Math.max(-1, x * (1 - exponent))) * x)

  const first = H(1.5) - 1
  const last = H(count + 0.5)
  const squeeze = 2 - inverseOfH(H(2.5) - h(2))
  return () => {
    for (;;) {
      const u = last + random() * (first - last)
      const x = inverseOfH(u)
      const rank = Math.min(count, Math.max(1, Math.floor(x + 0.5)))
      if (rank - x <= squeeze || u >= H(rank + 0.5) - h(rank)) return rank - 1
    }
  }
}

/** @param {number} x */
function expm1Over(x) {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + x / 2
}

/** @param {number} x */
function log1pOver(x) {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x / 2
}
