// @ts-check
/** What an operation that waits costs: so many callers again and again for so long, by the wall and by the processor. */

/**
 * @typedef {object} Cost
 * @property {number} operations
 * @property {number} wallNs of one operation
 * @property {number} cpuNs of one operation, with all threads of the process
 */

/** @param {number} callers @param {() => Promise<unknown>} run */
export function together(callers, run) {
  return Promise.all(Array.from({ length: callers }, run))
}

/**
 * @param {{ callers: number, measureMs: number, batch: number }} pace `batch`: operations between two looks at the
 *   clock, which costs as much as the fastest of them
 * @param {() => Promise<unknown>} run
 * @returns {Promise<Cost>}
 */
export async function timed({ callers, measureMs, batch }, run) {
  const stop = watch()
  const until = process.hrtime.bigint() + BigInt(measureMs) * 1_000_000n
  let operations = 0
  await together(callers, async () => {
    do {
      for (let at = 0; at < batch; at++) await run()
      operations += batch
      // What answers at once would otherwise keep the others from their turn.
      await new Promise((resolve) => setImmediate(resolve))
    } while (process.hrtime.bigint() < until)
  })
  return stop(operations)
}

/** @returns {(operations: number) => Cost} of what was done between the two calls */
export function watch() {
  const startedAt = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  return (operations) => {
    const wallNs = Number(process.hrtime.bigint() - startedAt) / operations
    const { user, system } = process.cpuUsage(cpu)
    return { operations, wallNs, cpuNs: ((user + system) * 1_000) / operations }
  }
}
