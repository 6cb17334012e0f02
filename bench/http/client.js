// @ts-check
/**
 * The load, in a process of its own: started by http.js with the order as its argument. Keeps sockets open and each busy
 * with one request at a time, written by hand, so that the server is what waits for nobody. Told over the channel for how
 * long, it answers with how many requests it made in that time; all of them are answered by then. Throws, and so fails the run,
 * when a response is not the page.
 */
import { connect } from 'node:net'

/** @typedef {{ port: number, connections: number, pages: number }} Order */
/** @typedef {{ path: string, length: number, ms: number }} Wave */
/** @typedef {{ requests: number, wallNs: number }} Made */

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const common = [
  `Host: 127.0.0.1:${order.port}`,
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en,de;q=0.7',
  'Accept-Encoding: identity',
  'Connection: keep-alive',
].join('\r\n')

const sockets = await Promise.all(Array.from({ length: order.connections }, open))
process.on('message', (wave) => {
  run(/** @type {Wave} */ (wave)).then(
    (made) => process.send?.(made),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

/** @returns {Promise<import('node:net').Socket>} */
function open() {
  return new Promise((resolve, reject) => {
    const socket = connect(order.port, '127.0.0.1', () => resolve(socket.setNoDelay()))
    socket.once('error', reject)
  })
}

/** @param {Wave} wave @returns {Promise<Made>} */
async function run({ path, length, ms }) {
  const requests = Array.from({ length: order.pages }, (_, page) =>
    Buffer.from(`GET ${path}?page=${page} HTTP/1.1\r\n${common}\r\n\r\n`),
  )
  const startedAt = process.hrtime.bigint()
  const until = startedAt + BigInt(ms) * 1_000_000n
  // On a busy machine too, every page is there before anything is measured.
  const least = 3 * requests.length
  let made = 0
  await Promise.all(
    sockets.map(async (socket) => {
      do await ask(socket, /** @type {Buffer} */ (requests[made++ % requests.length]), length)
      while (process.hrtime.bigint() < until || made < least)
    }),
  )
  return { requests: made, wallNs: Number(process.hrtime.bigint() - startedAt) }
}

/**
 * One request. Resolves when its response has come to its end.
 *
 * @param {import('node:net').Socket} socket
 * @param {Buffer} request
 * @param {number} length
 * @returns {Promise<void>}
 */
function ask(socket, request, length) {
  return new Promise((resolve, reject) => {
    /** Bytes that are missing; `undefined` before the head is there, or in chunks, whose last one ends the response. */
    let missing = /** @type {number | undefined} */ (undefined)
    let head = ''
    let body = 0
    const end = (/** @type {Error | undefined} */ error) => {
      socket.off('data', onData)
      socket.off('close', onClose)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onClose = () => end(new Error('the server has closed the connection'))
    const onData = (/** @type {Buffer} */ data) => {
      if (missing !== undefined) {
        missing -= data.length
      } else {
        head += data.toString('latin1')
        const at = head.indexOf('\r\n\r\n')
        if (at === -1) return
        if (!head.startsWith('HTTP/1.1 200 ')) return end(new Error(head.slice(0, at)))
        const announced = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]
        if (announced === undefined) {
          if (!head.endsWith('\r\n0\r\n\r\n')) return
          body = chunksOf(head.slice(at + 4))
        } else {
          body = Number(announced)
          missing = at + 4 + body - head.length
        }
        if (body !== length) return end(new Error(`a body of ${body} bytes instead of ${length}`))
      }
      if (missing === undefined || missing === 0) end(undefined)
      else if (missing < 0) end(new Error('more bytes than announced'))
    }
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.write(request)
  })
}

/** Bytes in the chunks of a body. @param {string} text */
function chunksOf(text) {
  let bytes = 0
  for (let at = 0; ; ) {
    const size = Number.parseInt(text.slice(at, text.indexOf('\r\n', at)), 16)
    if (size === 0) return bytes
    if (!(size > 0)) throw new Error(`no size of a chunk: ${text.slice(at, at + 20)}`)
    bytes += size
    at = text.indexOf('\r\n', at) + 2 + size + 2
  }
}
