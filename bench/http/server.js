// @ts-check
/**
 * One server, in a process of its own: started by http.js with the order as its argument. It says when it listens; asked
 * over the channel to its parent, it says what it has consumed so far and how often the handler ran. It ends with its parent.
 */
import { load, sites } from './sites.js'

/** @typedef {{ framework: string, contender: string, port: number }} Order */
/** @typedef {{ cpuNs: number, runs: number }} Consumed */

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const site = sites.find((one) => one.framework === order.framework && one.contender === order.contender)
if (site === undefined) throw new Error(`no ${order.contender} on ${order.framework}`)

/** Text as pages are made of, each size once. @type {Record<string, string>} */
const bodies = { '/2kB': textOf(2_000), '/100kB': textOf(100_000) }
let runs = 0
const start = await site.open({
  page: (path) => {
    runs++
    const query = path.indexOf('?')
    return bodies[query === -1 ? path : path.slice(0, query)] ?? ''
  },
  pages: async () => {
    const [{ createCache }, { httpCache }] = await Promise.all([load('tierwheel'), load('tierwheel/http')])
    return httpCache({ cache: createCache({ l1: { maxEntries: 10_000 } }) })
  },
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuNs: (user + system) * 1_000, runs })
})
process.on('disconnect', () => process.exit())
start(order.port)

/** @param {number} length */
function textOf(length) {
  return '<p>What a page says, line by line.</p>\n'.repeat(Math.ceil(length / 39)).slice(0, length)
}
