// A wire that a test can cut, on loopback: what comes in goes to a port, later, or nowhere.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** From the one who connected to the port, or back. */
export type Direction = 'there' | 'back'

/** One connection. */
interface Line {
  readonly sockets: readonly Socket[]
  /** Directions in which nothing passes for now. */
  readonly held: Set<Direction>
}

interface Wire {
  isCut: boolean
  readonly lines: Set<Line>
  /** What every new connection is held in. */
  readonly heldForNew: Set<Direction>
  /** How long each piece is on its way. */
  delayMs: number
}

/** Forwards connections to a port. */
export class TcpProxy {
  readonly port: number
  readonly #server: Server
  readonly #wire: Wire
  readonly #stopped: Set<() => void>

  private constructor(port: number, server: Server, wire: Wire, stopped: Set<() => void>) {
    this.port = port
    this.#server = server
    this.#wire = wire
    this.#stopped = stopped
  }

  static async to(target: number): Promise<TcpProxy> {
    const wire: Wire = { isCut: false, lines: new Set(), heldForNew: new Set(), delayMs: 0 }
    const stopped = new Set<() => void>()
    const carry = (line: Line, from: Socket, to: Socket, direction: Direction): void => {
      const pass = (piece: Buffer): void => {
        if (to.destroyed) return
        if (to.write(piece)) from.resume()
        else to.once('drain', () => from.resume())
      }
      const passLater = async (piece: Buffer): Promise<void> => {
        if (wire.delayMs > 0) await sleep(wire.delayMs)
        while (line.held.has(direction) && !to.destroyed) {
          await new Promise<void>((resolve) => stopped.add(resolve))
        }
        pass(piece)
      }
      // One piece at a time, so that they keep their order.
      from.on('data', (piece: Buffer) => {
        from.pause()
        if (wire.delayMs === 0 && !line.held.has(direction)) pass(piece)
        else void passLater(piece)
      })
      from.on('end', () => to.end())
      from.on('error', () => {})
      from.on('close', () => {
        to.destroy()
        wire.lines.delete(line)
      })
    }
    const server = createServer((near) => {
      if (wire.isCut) {
        near.destroy()
        return
      }
      const far = connect(target, '127.0.0.1')
      const line: Line = { sockets: [near, far], held: new Set(wire.heldForNew) }
      wire.lines.add(line)
      carry(line, near, far, 'there')
      carry(line, far, near, 'back')
    })
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    return new TcpProxy(port, server, wire, stopped)
  }

  /** Ends all connections, and every new one until `mend`. */
  cut(): void {
    this.#wire.isCut = true
    for (const { sockets } of this.#wire.lines) for (const socket of sockets) socket.destroy()
    this.#wake()
  }

  /**
   * Lets nothing through in a direction, without a word to either side.
   *
   * @param isOfAll - Whether connections that are made from now on carry nothing either.
   */
  hold(direction: Direction = 'back', isOfAll = false): void {
    for (const { held } of this.#wire.lines) held.add(direction)
    if (isOfAll) this.#wire.heldForNew.add(direction)
  }

  /** Has every piece take so long. */
  slow(delayMs: number): void {
    this.#wire.delayMs = delayMs
  }

  /** Lets through again what was held, at once, and new connections. */
  mend(): void {
    this.#wire.isCut = false
    this.#wire.delayMs = 0
    this.#wire.heldForNew.clear()
    for (const { held } of this.#wire.lines) held.clear()
    this.#wake()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #wake(): void {
    for (const go of this.#stopped) go()
    this.#stopped.clear()
  }
}
