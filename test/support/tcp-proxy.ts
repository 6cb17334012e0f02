// A wire that a test can cut, on loopback: what comes in goes to a port, or nowhere.

import { connect, createServer, type Server, type Socket } from 'node:net'

/** Forwards connections to a port. */
export class TcpProxy {
  readonly port: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #state: { isCut: boolean }

  private constructor(
    port: number,
    server: Server,
    pairs: Set<readonly [Socket, Socket]>,
    state: { isCut: boolean },
  ) {
    this.port = port
    this.#server = server
    this.#pairs = pairs
    this.#state = state
  }

  static async to(target: number): Promise<TcpProxy> {
    const pairs = new Set<readonly [Socket, Socket]>()
    const state = { isCut: false }
    const server = createServer((near) => {
      if (state.isCut) {
        near.destroy()
        return
      }
      const far = connect(target, '127.0.0.1')
      const pair = [near, far] as const
      pairs.add(pair)
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.pipe(to)
        from.on('error', () => {})
        from.on('close', () => {
          to.destroy()
          pairs.delete(pair)
        })
      }
    })
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    return new TcpProxy(port, server, pairs, state)
  }

  /** Ends all connections, and every new one until `mend`. */
  cut(): void {
    this.#state.isCut = true
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy()
  }

  /** Lets nothing through that comes from the port, without a word to either side. */
  hold(): void {
    for (const [near, far] of this.#pairs) far.unpipe(near)
  }

  /** Lets through again what was held, and new connections. */
  mend(): void {
    this.#state.isCut = false
    for (const [near, far] of this.#pairs) far.pipe(near)
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
