// Requests over real sockets, for tests of adapters: nothing is cached, merged or retried on this side.

import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** A response, whole. */
export interface Received {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Sends one request and reads its response to the end, on a connection of its own unless `agent` keeps one. */
export function ask(
  port: number,
  path: string,
  headers: Record<string, string | string[]> = {},
  method = 'GET',
  payload?: string,
  agent: Agent = new Agent({ keepAlive: false }),
): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(payload)
  })
}
