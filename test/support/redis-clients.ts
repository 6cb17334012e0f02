// The clients that the Redis tests run with, each as a program would make them.

import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient } from 'redis'
import type { RedisClient, RedisSubscriber } from '../../src/bus/redis.ts'

/** Connections of one client library to one server. */
export interface Connections {
  readonly client: RedisClient
  /** One more connection, for a bus. */
  subscriber(): Promise<RedisSubscriber>
  /** Sends a command on the client. */
  send(...words: string[]): Promise<unknown>
  close(): void
}

/** How a user logs in, where not as everybody, and by what wire. */
export interface Login {
  readonly username?: string
  readonly password?: string
  /** Without it nothing is encrypted. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

export interface Library {
  readonly name: string
  connect(port: number, login?: Login): Promise<Connections>
  /** Two connections that are being made, whether anybody answers or not. */
  begin(port: number, login?: Login): { client: RedisClient; subscriber: RedisSubscriber; close(): void }
}

function byIoredis(name: string, Client: typeof Redis): Library {
  const begin = (port: number, login?: Login): Redis => {
    const options = { host: '127.0.0.1', port, maxRetriesPerRequest: 1, retryStrategy: () => 50, ...login }
    const client = new Client(options)
    client.on('error', () => {})
    return client
  }
  return {
    name,
    connect: async (port, login) => {
      const opened = [begin(port, login)]
      const [client] = opened as [Redis]
      return {
        client,
        subscriber: async () => {
          const subscriber = begin(port, login)
          opened.push(subscriber)
          return subscriber
        },
        send: (command, ...words) => client.call(command, ...words),
        close: () => {
          for (const one of opened) one.disconnect()
        },
      }
    },
    begin: (port, login) => {
      const [client, subscriber] = [begin(port, login), begin(port, login)]
      return {
        client,
        subscriber,
        close: () => {
          for (const one of [client, subscriber]) one.disconnect()
        },
      }
    },
  }
}

function createNodeRedis(port: number, { tls, ...login }: Login = {}) {
  const client = createClient({
    socket: { host: '127.0.0.1', port, reconnectStrategy: () => 50, ...(tls && { tls: true, ...tls }) },
    ...login,
  })
  return client.on('error', () => {})
}

const nodeRedis: Library = {
  name: 'node-redis 6',
  connect: async (port, login) => {
    const open = async () => {
      const client = createNodeRedis(port, login)
      opened.push(client)
      await client.connect()
      return client
    }
    const opened: { destroy(): void }[] = []
    const client = await open()
    return {
      client,
      subscriber: open,
      send: (...words) => client.sendCommand(words),
      close: () => {
        for (const one of opened) one.destroy()
      },
    }
  },
  begin: (port, login) => {
    const [client, subscriber] = [createNodeRedis(port, login), createNodeRedis(port, login)]
    for (const one of [client, subscriber]) one.connect().catch(() => {})
    return {
      client,
      subscriber,
      close: () => {
        for (const one of [client, subscriber]) one.destroy()
      },
    }
  },
}

export const libraries: readonly Library[] = [
  byIoredis('ioredis 6', Redis),
  // The same constructor as far as it is used here; the types of two versions do not mix.
  byIoredis('ioredis 5.9', Redis5 as unknown as typeof Redis),
  nodeRedis,
]
