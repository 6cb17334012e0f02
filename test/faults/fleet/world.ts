// Where a fleet lives: real Redis servers in one of three arrangements, and what can befall each of them.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisSentinels } from '../../support/redis-sentinels.ts'
import { RedisServer, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { type Fleet, now } from './fleet.ts'

/** The client of a process. */
type Library = 'ioredis' | 'ioredis5' | 'node-redis'

/** Processes take turns. */
const libraries: readonly Library[] = ['ioredis', 'node-redis', 'ioredis5']
const libraryOf = (place: number): Library => libraries[place % libraries.length] as Library

/** How a process reaches the servers. */
export type Way =
  | { readonly kind: 'alone'; readonly port: number; readonly library: Library }
  | {
      readonly kind: 'sentinel'
      readonly library: Library
      readonly ports: readonly number[]
      readonly name: string
      readonly durability: 'server' | 'replica'
    }
  | {
      readonly kind: 'cluster'
      readonly library: Library
      readonly ports: readonly number[]
    }

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

/**
 * What is done by a command.
 *
 * @param masters - Connections to the servers that are written to.
 * @param everywhere - To all, where there are more that clients can be connected to.
 */
function byCommands(
  masters: () => Promise<Redis[]>,
  everywhere: () => Promise<Redis[]> = masters,
): Record<string, Fault> {
  const onEach = async (run: (admin: Redis) => Promise<unknown>, admins = masters): Promise<void> => {
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
    'subscribers are thrown out': () =>
      onEach((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), everywhere),
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
      library: libraryOf(place),
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
    way: (place) => ({
      kind: 'sentinel',
      // That of node-redis has a pool, which cannot wait for a replica.
      library: durability === 'replica' ? (place % 2 === 0 ? 'ioredis' : 'ioredis5') : libraryOf(place),
      ports: sentinels.ports,
      name: sentinels.name,
      durability,
    }),
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

/** Before a server stopped, so much of what it had acknowledged may not have gone to its replica yet. */
const REPLICATION_MS = 1_000

/** Three masters, each with a replica that can take over from it. */
export async function clusterWorld(folder: string): Promise<World> {
  const servers = await RedisServer.startCluster(folder, { appendonly: 'yes' }, true)
  const ports = servers.map(({ port }) => port)
  const rolesOf = () =>
    Promise.all(servers.map(async (server) => server.ask('INFO replication').catch(() => '')))
  const masters = async (): Promise<RedisServer[]> => {
    const roles = await rolesOf()
    return servers.filter((_, at) => roles[at]?.includes('role:master'))
  }
  const replicaOf = async (master: RedisServer): Promise<RedisServer> => {
    const roles = await rolesOf()
    const found = servers.find((_, at) => roles[at]?.includes(`master_port:${master.port}\r\n`))
    if (found === undefined) throw new Error(`nobody follows ${master.port}`)
    return found
  }
  /** All slots are served, and each master is followed. */
  const whenWhole = (): Promise<void> =>
    until('the cluster heals', async () => {
      const infos = await Promise.all(servers.map((server) => server.ask('CLUSTER INFO')))
      const roles = await rolesOf()
      const isFollowed = roles.filter((role) => role.includes('master_link_status:up')).length === 3
      return isFollowed && infos.every((info) => info.includes('cluster_state:ok'))
    })
  await whenWhole()
  const pick = async (random: () => number): Promise<RedisServer> => {
    const all = await masters()
    return all[Math.floor(random() * all.length)] as RedisServer
  }
  /** What befalls a master is over: all is well, and if another one has taken over it may lack the last moments. */
  const recover = async (fleet: Fleet, master: RedisServer, struckAt: number): Promise<void> => {
    await whenWhole()
    if (!(await masters()).includes(master)) fleet.lost(struckAt - REPLICATION_MS)
  }
  return {
    name: 'cluster',
    way: (place) => ({ kind: 'cluster', library: libraryOf(place), ports }),
    faults: {
      ...faultsOfProcesses,
      ...byCommands(
        async () => Promise.all((await masters()).map(({ port }) => admin(port))),
        () => Promise.all(ports.map(admin)),
      ),
      'a server is killed and has kept all': async (fleet, random) => {
        const master = await pick(random)
        const struckAt = now()
        await master.kill()
        await sleep(between(0, 3_000, random))
        await master.restart()
        await recover(fleet, master, struckAt)
      },
      'a server is stopped': async (fleet, random) => {
        const master = await pick(random)
        const struckAt = now()
        master.pause()
        await sleep(between(300, 3_000, random))
        master.resume()
        await recover(fleet, master, struckAt)
      },
      'a replica takes over in order': async (_, random) => {
        const replica = await replicaOf(await pick(random))
        await replica.ask('CLUSTER FAILOVER')
        await until('it has taken over', async () => (await masters()).includes(replica))
        await whenWhole()
      },
      'a server is killed, and its replica takes over': async (fleet, random) => {
        const master = await pick(random)
        const replica = await replicaOf(master)
        const struckAt = now()
        await master.kill()
        await until('it has taken over', async () => (await masters()).includes(replica))
        await master.restart()
        await recover(fleet, master, struckAt)
      },
      'a replica takes over that lacks the last moments': async (fleet, random) => {
        const master = await pick(random)
        const replica = await replicaOf(master)
        const struckAt = now()
        // What is in the socket already would still reach it, so its connection is ended as well.
        replica.pause()
        await master.ask('CLIENT KILL TYPE replica')
        await sleep(between(100, 500, random))
        await master.kill()
        replica.resume()
        await until('it has taken over', async () => (await masters()).includes(replica))
        fleet.lost(struckAt)
        await master.restart()
        await whenWhole()
      },
      'a slot is moved': async (_, random) => {
        const admins = await Promise.all((await masters()).map(({ port }) => admin(port)))
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
