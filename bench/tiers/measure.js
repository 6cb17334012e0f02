// @ts-check
/**
 * One contender with one number of entries, in a process of its own: started by tiers.js with the order as its
 * argument, answers with one line of JSON. Throws, and so fails the run, when a value is not the one that was stored.
 */
import { createHash } from 'node:crypto'
import { randomFrom } from '../workloads/random.js'
import { timed, together } from '../workloads/timed.js'
import { contenders } from './contenders.js'

/** @typedef {{ contender: string, entries: number, measureMs: number, seed: string, folder: string, port: number }} Order */
/** @typedef {import('../workloads/timed.js').Cost & { operation: 'read' | 'write', callers: number }} Figure */

const VALUE_BYTES = 1_024
const CALLERS = [1, 64]

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const contender = contenders.find(({ name }) => name === order.contender)
if (contender === undefined) throw new Error(`no contender ${order.contender}`)
const store = await contender.open(order)
const random = randomFrom(`${order.seed}/${order.entries}`)
const value = createHash('shake256', { outputLength: VALUE_BYTES }).update(order.seed).digest()

/** @param {number} id */
const keyOf = (id) => `user-${String(id).padStart(9, '0')}-profile`
const drawn = () => keyOf(Math.floor(random() * order.entries))

const lengthOf = store.lengthOf ?? ((/** @type {{ length: number }} */ found) => found.length)

const read = async () => {
  const found = await store.get(drawn())
  const length = found === undefined || found === null ? 0 : lengthOf(found)
  if (length !== VALUE_BYTES) throw new Error(`${order.contender} answered with ${length} bytes`)
}
const write = () => store.set(drawn(), value)

let filled = 0
await together(64, async () => {
  while (filled < order.entries) await store.set(keyOf(filled++), value)
})
/** @type {Figure[]} */
const figures = []
for (const callers of CALLERS) {
  figures.push(await measure('read', callers, read), await measure('write', callers, write))
}
await store.close()
console.log(JSON.stringify({ node: process.version, figures }))
process.exit()

/**
 * @param {'read' | 'write'} operation
 * @param {number} callers
 * @param {() => Promise<unknown>} run
 * @returns {Promise<Figure>}
 */
async function measure(operation, callers, run) {
  for (let at = 0; at < 100; at++) await run()
  return { operation, callers, ...(await timed({ callers, measureMs: order.measureMs, batch: 16 }, run)) }
}
