// Which of several servers has a key: consistent hashing by Ketama, so that with one server more or less only that
// server's share of the keys moves.
//
// Each server has 160 points on a ring of 2^32, four out of each MD5 of its name and a number; a key belongs to the
// server whose point is the next at or after the key's own. Source: Richard Jones, libketama (2007), with
// libmemcached's names: the port is left out when it is 11211. MD5 spreads; nothing rests on it being hard.

import { createHash } from 'node:crypto'
import type { ServerAddress } from './memcached-connection.ts'

const DIGESTS = 40
const POINTS_PER_DIGEST = 4

/** Deals keys to servers. */
export class Ring {
  /** In ascending order, with the number of the server at the same place. */
  readonly #points: Uint32Array
  readonly #owners: Uint16Array

  constructor(servers: readonly Pick<ServerAddress, 'host' | 'port'>[]) {
    const points = servers.flatMap(({ host, port }, owner) => {
      const name = port === 11_211 ? host : `${host}:${port}`
      return Array.from({ length: DIGESTS }, (_, at) => md5(`${name}-${at}`)).flatMap((digest) =>
        Array.from({ length: POINTS_PER_DIGEST }, (_, quarter) => ({
          at: digest.readUInt32LE(4 * quarter),
          owner,
        })),
      )
    })
    points.sort((left, right) => left.at - right.at || left.owner - right.owner)
    this.#points = Uint32Array.from(points, ({ at }) => at)
    this.#owners = Uint16Array.from(points, ({ owner }) => owner)
  }

  /** The number of the server that a key belongs to. */
  ownerOf(key: string): number {
    const points = this.#points
    if (points.length === DIGESTS * POINTS_PER_DIGEST) return 0
    const hash = md5(key).readUInt32LE(0)
    let low = 0
    let high = points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((points[middle] as number) < hash) low = middle + 1
      else high = middle
    }
    return this.#owners[low === points.length ? 0 : low] as number
  }
}

function md5(text: string): Buffer {
  return createHash('md5').update(text).digest()
}
