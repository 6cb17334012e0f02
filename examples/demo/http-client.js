// @ts-check
// Asks one server on this machine, over connections that are kept open. The driver asks the two servers with it,
// and they ask the source.

import { Agent, request } from 'node:http'

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {any} body parsed from JSON
 */

/** Sends requests to one port of this machine. */
export class HttpClient {
  #port
  #agent

  /**
   * @param {number} port
   * @param {{ maxConnections?: number }} [options]
   */
  constructor(port, { maxConnections = Number.POSITIVE_INFINITY } = {}) {
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: maxConnections })
  }

  /**
   * Resolves to the answer, whatever its status.
   *
   * @param {'GET' | 'PUT'} method
   * @param {string} path
   * @param {unknown} [content] sent as JSON
   * @returns {Promise<Answer>}
   */
  ask(method, path, content) {
    const text = content === undefined ? undefined : JSON.stringify(content)
    return new Promise((resolve, reject) => {
      const asked = request({ agent: this.#agent, host: '127.0.0.1', port: this.#port, method, path })
      asked.on('error', reject)
      asked.on('response', (response) => {
        let received = ''
        response.setEncoding('utf8')
        response.on('data', (chunk) => {
          received += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          try {
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: JSON.parse(received),
            })
          } catch (error) {
            reject(error)
          }
        })
      })
      asked.end(text)
    })
  }

  close() {
    this.#agent.destroy()
  }
}
