// @ts-check
// The process behind the cache: a database of products that takes its time.
//
// Each product has a version that every write raises, so that whoever reads can tell how old an answer is. A read
// sees the product as it is when the question arrives and answers 15 to 25 ms later. That order is the hard one for
// a cache: a write can overtake a load that is under way, and what the load brings is old when it arrives.

import { setTimeout as wait } from 'node:timers/promises'
import { serveJson } from './http-server.js'
import { joinParent, settingsFromParent } from './lifeline.js'

/** @typedef {{ leastMs: number, mostMs: number, writeMs: number }} SourceSettings */

/** @type {SourceSettings} */
const { leastMs, mostMs, writeMs } = settingsFromParent()

/** Products that were written; all others are as they were made.
 * @type {Map<number, { version: number, price: number }>} */
const written = new Map()
let reads = 0

/** @param {number} id */
function productOf(id) {
  const { version, price } = written.get(id) ?? { version: 1, price: 10 + (id % 990) }
  return {
    id,
    version,
    price,
    name: `Product ${id}`,
    description: `What there is to say of product ${id}. `.repeat(10).trimEnd(),
  }
}

const { port, close } = await serveJson(async (method, path, content) => {
  const id = Number(path.slice(1))
  if (method === 'PUT') {
    const product = { version: productOf(id).version + 1, price: content?.price ?? productOf(id).price }
    written.set(id, product)
    await wait(writeMs)
    return { status: 200, body: { id, version: product.version } }
  }
  reads++
  const product = productOf(id)
  await wait(leastMs + Math.random() * (mostMs - leastMs))
  return { status: 200, body: product }
})

joinParent({ ready: port, answer: () => ({ reads }), end: async () => close() })
