// @ts-check
// The part of an HTTP server that has nothing to do with caching: a free port on this machine, JSON in and out.

import { createServer } from 'node:http'

/** Nobody has a product as long as this. */
const MOST_BYTES = 64 * 1024

/** Longer than the demo runs: a connection that is closed while it is asked would count as an error. */
const KEEP_ALIVE_MS = 10 * 60_000

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {unknown} body sent as JSON
 * @property {Record<string, string>} [headers]
 */

/**
 * Serves on a free port of this machine. What `answer` throws becomes a 500.
 *
 * @param {(method: string, path: string, content: any) => Promise<Reply>} answer `content` is what the request
 *   brought as JSON, `undefined` when it brought nothing
 * @returns {Promise<{ port: number, close: () => void }>}
 */
export async function serveJson(answer) {
  const server = createServer(async (request, response) => {
    /** @type {Reply} */
    let reply
    try {
      const read = await readContent(request)
      reply =
        'reply' in read ? read.reply : await answer(request.method ?? '', request.url ?? '', read.content)
    } catch (error) {
      reply = { status: 500, body: { error: error instanceof Error ? error.message : String(error) } }
    }
    const text = `${JSON.stringify(reply.body)}\n`
    response.writeHead(reply.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...reply.headers,
    })
    response.end(text)
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(undefined))
  })
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    port,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<{ content: any } | { reply: Reply }>}
 */
async function readContent(request) {
  if (request.method === 'GET') return { content: undefined }
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request) {
    text += chunk
    if (text.length > MOST_BYTES) return { reply: { status: 413, body: { error: 'too much content' } } }
  }
  if (text === '') return { content: undefined }
  try {
    return { content: JSON.parse(text) }
  } catch {
    return { reply: { status: 400, body: { error: 'the content is not JSON' } } }
  }
}
