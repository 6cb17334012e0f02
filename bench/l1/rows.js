// @ts-check
/** The rows of `bench l1`, and who takes part in which. A process measures one contender on one group of rows. */
import { contenders } from '../contenders/contender.js'
import { workloads } from '../workloads/workloads.js'

/** @typedef {import('../workloads/keys.js').KeyKind} KeyKind */
/** @typedef {import('../workloads/workloads.js').WorkloadName} WorkloadName */

/**
 * @typedef {object} Row
 * @property {string} id such as `fresh/1k/hit-zipf`
 * @property {string} group rows of one group share a process
 * @property {KeyKind} keys
 * @property {number} entries
 * @property {WorkloadName} workload
 * @property {number | undefined} ttlMs
 * @property {boolean} isUsual takes part unless `--wide` asks for all
 * @property {string[]} contenders by name, in the order of the tables
 */

/** Far beyond the run: what is asked is the price of looking at deadlines, not of expiry. */
const TTL_MS = 60 * 60 * 1000

const allWorkloads = /** @type {WorkloadName[]} */ (Object.keys(workloads)).filter(
  (name) => name !== 'hit-prepared',
)

/** @type {{ keys: KeyKind, workloads: WorkloadName[], ttlMs?: number }[]} */
const plan = [
  { keys: 'fresh', workloads: allWorkloads },
  { keys: 'reused', workloads: [...allWorkloads, 'hit-prepared'] },
  { keys: 'equal', workloads: ['hit-zipf'] },
  { keys: 'integer', workloads: ['hit-zipf', 'hit-uniform'] },
  { keys: 'fresh', workloads: ['hit-zipf'], ttlMs: TTL_MS },
  { keys: 'reused', workloads: ['hit-zipf'], ttlMs: TTL_MS },
]

const sizes = [1_000, 100_000, 1_000_000]

/** Rows with more entries take part only where `--wide` asks for all. */
const USUAL_ENTRIES = 100_000

/** @type {readonly Row[]} */
export const rows = plan.flatMap(({ keys, workloads: names, ttlMs }) =>
  sizes.flatMap((entries) => names.map((workload) => rowOf(keys, entries, workload, ttlMs))),
)

/**
 * @param {KeyKind} keys
 * @param {number} entries
 * @param {WorkloadName} workload
 * @param {number | undefined} ttlMs
 * @returns {Row}
 */
function rowOf(keys, entries, workload, ttlMs) {
  const size = entries < 1_000_000 ? `${entries / 1_000}k` : `${entries / 1_000_000}M`
  const group = `${keys}/${size}${ttlMs === undefined ? '' : '/ttl'}`
  const { evicts, onlyReads } = workloads[workload]
  const names = contenders
    .filter((contender) => contender.takesTtl || ttlMs === undefined)
    .filter((contender) => contender.evicts || !evicts)
    .filter((contender) => contender.tellsDelete || workload !== 'delete-set')
    // The floor is the same below all lookups, so one row of it will do.
    .filter((contender) => contender.stores || (onlyReads && workload === 'hit-zipf'))
    .map(({ name }) => name)
  return {
    id: `${group}/${workload}`,
    group,
    keys,
    entries,
    workload,
    ttlMs,
    isUsual: entries <= USUAL_ENTRIES,
    contenders: names,
  }
}
