// @ts-check
/** The machine that a bench ran on, as its results say it. */
import { cpus, loadavg, release, totalmem, type } from 'node:os'

/**
 * @typedef {object} Machine
 * @property {string} cpu
 * @property {number} cores
 * @property {number} memoryGiB
 * @property {string} os
 * @property {number} loadBefore of the minute before the run
 * @property {number} loadAfter
 */

/** @returns {Machine} as it is before a run; `loadAfter` is to be set behind it */
export function machineBefore() {
  const loadBefore = load()
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    loadBefore,
    loadAfter: loadBefore,
  }
}

/** Of the last minute. */
export function load() {
  return Number((loadavg()[0] ?? 0).toFixed(2))
}

/** @param {Machine} machine */
export function isBusy({ loadBefore, cores }) {
  return loadBefore > 0.3 * cores
}
