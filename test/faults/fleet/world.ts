// Where a fleet lives: real Redis servers in one of three arrangements, and what can befall each of them.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisSentinels } from '../../support/redis-sentinels.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { type Fleet, now } from './fleet.ts'

/** How a process reaches the servers. */
export type Way =
  | { readonly kind: 'alone'; readonly port: number; readonly library: 'ioredis' | 'node-redis' }
  | {
      readonly kind: 'sentinel'
      readonly ports: readonly number[]
      readonly name: string
      readonly durability: 'server' | 'replica'
    }
  | { readonly kind: 'cluster'; readonly ports: readonly number[] }

/** Something that befalls a fleet. It is over, and all works again, when it resolves. */
export type Fault = (fleet: Fleet, random: () => number) => Promise<void>

/** Servers, and what can befall them. */
export interface World {
  readonly name: string
  way(place: number): Way
  readonly faults: Readonly<Record<string, Fault>>
  end(): Promise<void>
}

/** A little, and now and then much. */
const between = (least: number, most: number, random: () => number): number =>
  least + random() ** 2 * (most - least)

const anyOf = (fleet: Fleet, random: () => number): number => Math.floor(random() * fleet.size)

/** What can befall processes, whatever they stand on. */
const faultsOfProcesses: Record<string, Fault> = {
  'a process is stopped': async (fleet, random) => {
    const place = anyOf(fleet, random)
    fleet.pause(place)
    await sleep(between(300, 6_000, random))
    fleet.resume(place)
  },
  'a process is killed': (fleet, random) => fleet.kill(anyOf(fleet, random)),
}

/** What is done by a command. */
function byCommands(admins: () => Promise<Redis[]>): Record<string, Fault> {
  const onEach = async (run: (admin: Redis) => Promise<unknown>): Promise<void> => {
    const all = await admins()
    try {
      await Promise.all(all.map(run))
    } finally {
      for (const admin of all) admin.disconnect()
    }
  }
  const deleteKeys = (pattern: string) =>
    onEach(async (admin) => {
      for (const name of await admin.keys(pattern)) await admin.del(name)
    })
  return {
    'everything is flushed': () => onEach((admin) => admin.flushall()),
    'the log is emptied': () => deleteKeys('{tierwheel:*:l'),
    'the state is evicted': () => deleteKeys('{tierwheel:*:s'),
    'scripts are flushed': () => onEach((admin) => admin.script('FLUSH')),
    'subscribers are thrown out': () => onEach((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')),
    'clients are thrown out': () => onEach((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'normal')),
  }
}

async function admin(port: number): Promise<Redis> {
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 100 })
  client.on('error', () => {})
  return client
}

/** One server, and a wire of its own to each process. Processes take turns with ioredis and node-redis. */
export async function aloneWorld(folder: string, members: number): Promise<World> {
  const kept = join(folder, 'kept')
  const server = await RedisServer.start({ dir: folder, appendonly: 'yes', appenddirname: 'kept' })
  const wires: TcpProxy[] = []
  for (let place = 0; place < members; place++) wires.push(await TcpProxy.to(server.port))
  const onWire =
    (strike: (wire: TcpProxy, random: () => number) => void, most = 5_000): Fault =>
    async (fleet, random) => {
      const wire = wires[anyOf(fleet, random)] as TcpProxy
      strike(wire, random)
      await sleep(between(300, most, random))
      wire.mend()
    }
  return {
    name: 'alone',
    way: (place) => ({
      kind: 'alone',
      port: (wires[place] as TcpProxy).port,
      library: place % 2 === 0 ? 'ioredis' : 'node-redis',
    }),
    faults: {
      ...faultsOfProcesses,
      ...byCommands(async () => [await admin(server.port)]),
      'the server is stopped': async (_, random) => {
        server.pause()
        await sleep(between(300, 5_000, random))
        server.resume()
      },
      'the server is killed and has kept all': async (_, random) => {
        await server.kill()
        await sleep(between(0, 3_000, random))
        await server.restart()
      },
      'the server is killed and has kept nothing': async (_, random) => {
        await server.kill()
        rmSync(kept, { recursive: true, force: true })
        await sleep(between(0, 3_000, random))
        await server.restart()
      },
      'a wire is cut': onWire((wire) => wire.cut()),
      'a wire is cut on the way there': onWire((wire, random) => wire.hold('there', random() < 0.5)),
      'a wire is cut on the way back': onWire((wire, random) => wire.hold('back', random() < 0.5)),
      'a wire carries nothing': onWire((wire, random) => {
        wire.hold('there', random() < 0.5)
        wire.hold('back', random() < 0.5)
      }),
      'a wire is slow': onWire((wire, random) => wire.slow(between(20, 400, random))),
    },
    end: async () => {
      server.resume()
      for (const wire of wires) await wire.close()
      await server.kill()
    },
  }
}

/**
 * A server and its replica, and three sentinels that have the one take over from the other.
 *
 * @param durability - Of the caches: with `'replica'` nothing acknowledged may be lost, whatever the failover.
 */
export async function sentinelWorld(folder: string, durability: 'server' | 'replica'): Promise<World> {
  const sentinels = await RedisSentinels.start(folder)
  return {
    name: durability === 'replica' ? 'sentinels, waiting for the replica' : 'sentinels',
    way: () => ({ kind: 'sentinel', ports: sentinels.ports, name: sentinels.name, durability }),
    faults: {
      ...faultsOfProcesses,
      ...byCommands(async () => [await admin((await sentinels.master()).port)]),
      'a failover that loses nothing': async () => {
        const master = await sentinels.master()
        await sentinels.settleWrites()
        await master.kill()
        await sentinels.whenFailedOver(master)
      },
      'a failover that loses the last moments': async (fleet, random) => {
        const master = await sentinels.master()
        const from = now()
        const replica = await sentinels.cutReplica()
        await sleep(between(100, 500, random))
        await master.kill()
        // What waited for the replica has not been acknowledged.
        if (durability === 'server') fleet.lost(from)
        replica.resume()
        await sentinels.whenFailedOver(master)
      },
      'the replica is killed': async () => {
        const [master, replica] = [await sentinels.master(), await sentinels.replica()]
        await replica.restart({ replicaof: `127.0.0.1 ${master.port}` })
        await sentinels.whenReplicating()
      },
    },
    end: () => sentinels.end(),
  }
}

const SLOTS = 16_384

/** Three masters without replicas. */
export async function clusterWorld(folder: string): Promise<World> {
  const servers = await RedisServer.startCluster(folder, { appendonly: 'yes' })
  const ports = servers.map(({ port }) => port)
  const pick = (random: () => number) => servers[Math.floor(random() * servers.length)] as RedisServer
  const whenWhole = async (): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      const infos = await Promise.all(servers.map((server) => server.ask('CLUSTER INFO').catch(() => '')))
      if (infos.every((info) => info.includes('cluster_state:ok'))) return
      if (attempt === 400) throw new Error(`the cluster does not heal: ${infos.join('\n')}`)
      await sleep(50)
    }
  }
  return {
    name: 'cluster',
    way: () => ({ kind: 'cluster', ports }),
    faults: {
      ...faultsOfProcesses,
      ...byCommands(() => Promise.all(ports.map(admin))),
      'a server is killed and has kept all': async (_, random) => {
        const server = pick(random)
        await server.kill()
        await sleep(between(0, 3_000, random))
        await server.restart()
        await whenWhole()
      },
      'a server is stopped': async (_, random) => {
        const server = pick(random)
        server.pause()
        await sleep(between(300, 3_000, random))
        server.resume()
        await whenWhole()
      },
      'a slot is moved': async (_, random) => {
        const admins = await Promise.all(ports.map(admin))
        try {
          await moveSlot(admins, random)
        } finally {
          for (const one of admins) one.disconnect()
        }
        await whenWhole()
      },
    },
    end: async () => {
      for (const server of servers) {
        server.resume()
        await server.kill()
      }
    },
  }
}

/** Moves a slot that has keys to another server, key by key, as redis-cli does it. */
async function moveSlot(admins: readonly Redis[], random: () => number): Promise<void> {
  const ids = await Promise.all(admins.map(async (one) => String(await one.call('CLUSTER', 'MYID'))))
  const from = Math.floor(random() * admins.length)
  const to = (from + 1 + Math.floor(random() * (admins.length - 1))) % admins.length
  const [source, target] = [admins[from] as Redis, admins[to] as Redis]
  const names = await source.keys('{tierwheel:*:s')
  const name = names[Math.floor(random() * names.length)]
  if (name === undefined) return
  const slot = String(await source.call('CLUSTER', 'KEYSLOT', name))
  if (!(Number(slot) < SLOTS)) throw new Error(`${name} is in no slot: ${slot}`)
  await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[from]))
  await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[to]))
  for (;;) {
    const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, '100')) as string[]
    if (keys.length === 0) break
    const { host = '127.0.0.1', port = 0 } = target.options
    await source.call('MIGRATE', host, String(port), '', '0', '5000', 'REPLACE', 'KEYS', ...keys)
  }
  for (const one of [target, source, ...admins])
    await one.call('CLUSTER', 'SETSLOT', slot, 'NODE', String(ids[to]))
}
