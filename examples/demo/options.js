// @ts-check
// What the demo can be told on the command line.

import { parseArgs } from 'node:util'

export const usage = `npm run demo [-- OPTION...]

Replays what was asked of a web shop over HTTP: two server processes, each with a first level of its own, one shared
file tier, and a slow source behind them. Ends by itself in less than a minute, with status 0 when no answer
was stale and no request failed, and 1 otherwise.

  --requests N      only the first N requests of the trace (default: all 95,607)
  --concurrency N   requests under way at once, 1 to 1,000 (default: 32)
  --no-bus          leave the bus out, to see the check find what goes wrong without one (ends with status 1)
  --serve           a short warm-up, then both servers stay up to be tried with curl, until Ctrl-C
  --json FILE       write the numbers to a file as well
  --help            this text

With REDIS_URL=redis://... in the environment a Redis server takes the place of the file tier and of its bus. The run has
keys of its own there and takes them away.`

/** Of the trace, when the servers are to be tried by hand. */
const WARM_UP_REQUESTS = 3_000

/**
 * @typedef {object} DemoOptions
 * @property {number | undefined} requests all when not said
 * @property {number} concurrency
 * @property {boolean} hasBus
 * @property {boolean} isServing
 * @property {string | undefined} json
 * @property {string | undefined} redisUrl
 */

/**
 * @param {string[]} args
 * @param {string | undefined} redisUrl of the environment
 * @returns {DemoOptions | 'help'}
 * @throws TypeError or RangeError with what is wrong.
 */
export function readOptions(args, redisUrl = process.env.REDIS_URL) {
  const { values } = parseArgs({
    args,
    options: {
      concurrency: { type: 'string', default: '32' },
      help: { type: 'boolean', default: false },
      json: { type: 'string' },
      'no-bus': { type: 'boolean', default: false },
      requests: { type: 'string' },
      serve: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  if (values.json === '') throw new TypeError('--json needs the name of a file')
  const asked = values.requests === undefined ? undefined : countOf(values.requests, '--requests', 95_607)
  return {
    requests: asked ?? (values.serve ? WARM_UP_REQUESTS : undefined),
    concurrency: countOf(values.concurrency, '--concurrency', 1_000),
    hasBus: !values['no-bus'],
    isServing: values.serve,
    json: values.json,
    redisUrl: redisUrl === undefined || redisUrl === '' ? undefined : checkUrl(redisUrl),
  }
}

/**
 * @param {string} text
 * @param {string} option
 * @param {number} most
 */
function countOf(text, option, most) {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < 1 || count > most) {
    throw new RangeError(`${option} ${text}: must be a whole number from 1 to ${most.toLocaleString('en')}`)
  }
  return count
}

/**
 * @param {string} url
 * @throws TypeError without the address, which may have a password.
 */
function checkUrl(url) {
  if (!/^rediss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
    throw new TypeError('REDIS_URL is not of the form redis://user:password@host:port/database, or rediss://')
  }
  return url
}
