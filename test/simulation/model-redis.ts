// A Redis server as far as tierwheel asks anything of it, in virtual time. Its scripts are the real ones (lua.ts); what
// is modelled are the commands that they call, expiry, publishing, and what a server loses: everything, single keys,
// or, when another one takes over that was behind, the last moments.

import { type Compiled, compileLua, Table, type Value } from './lua.ts'
import type { Universe } from './universe.ts'

type Stored =
  | { readonly kind: 'string'; readonly value: string; readonly expiresAt: number }
  | { readonly kind: 'hash'; readonly fields: ReadonlyMap<string, string> }
  | { readonly kind: 'ranks'; readonly scores: ReadonlyMap<string, number> }
  | { readonly kind: 'stream'; readonly entries: readonly (readonly [sequence: number, bytes: string])[] }

/** What a test sees of what a server does. */
export interface Observer {
  /** A message was put into a log. */
  onLogged(bytes: string): void
  /** A text was stored under a key. */
  onStored(key: string, value: string): void
}

/** How long what was done can be undone, as by a replica that was behind. */
const JOURNAL_MS = 600

const compiled = new Map<string, Compiled>()

/** One server. Texts are bytes, one per UTF-16 unit. */
export class ModelRedis {
  readonly #universe: Universe
  readonly #observer: Observer
  readonly #publish: (channel: string, bytes: string) => void
  readonly #digestOf: (text: string) => string
  /** Whether what was done can be undone. */
  readonly #keepsJournal: boolean
  #data = new Map<string, Stored>()
  readonly #scripts = new Map<string, Compiled>()
  #journal: { readonly at: number; readonly undo: () => void }[] = []
  /** Its clock is off by this. */
  clockOffsetMs = 0
  isUp = true

  constructor(
    universe: Universe,
    observer: Observer,
    publish: (channel: string, bytes: string) => void,
    digestOf: (text: string) => string,
    keepsJournal: boolean,
  ) {
    this.#universe = universe
    this.#observer = observer
    this.#publish = publish
    this.#digestOf = digestOf
    this.#keepsJournal = keepsJournal
  }

  /**
   * Does a command.
   *
   * @throws Error with the reply, when that is an error.
   */
  execute(words: readonly string[]): unknown {
    const [name = '', ...args] = words
    if (name === 'EVALSHA' || name === 'EVAL') {
      const [text = '', count = '0', ...rest] = args
      const script = name === 'EVAL' ? this.#load(text) : this.#scripts.get(text)
      if (script === undefined) throw new Error('NOSCRIPT No matching script. Please use EVAL.')
      const keys = rest.slice(0, Number(count))
      return replyOf(
        script(keys, rest.slice(Number(count)), (command, ...words) =>
          this.#call(command as string, words as string[]),
        ),
      )
    }
    return replyOf(this.#call(name, args))
  }

  /** Loses everything, the scripts too where it is another process then. */
  flush(): void {
    for (const key of [...this.#data.keys()]) this.#put(key, undefined)
  }

  forgetScripts(): void {
    this.#scripts.clear()
  }

  /** Loses a key, as under `maxmemory`. */
  evict(key: string): void {
    this.#put(key, undefined)
  }

  keys(): IterableIterator<string> {
    return this.#data.keys()
  }

  /** Undoes what was done in the last `ms`: the replica that takes over had not heard of it. */
  rollBack(ms: number): void {
    const from = this.#universe.now - ms
    while ((this.#journal.at(-1)?.at ?? Number.NEGATIVE_INFINITY) > from) this.#journal.pop()?.undo()
  }

  #note(undo: () => void): void {
    this.#journal.push({ at: this.#universe.now, undo })
    if (this.#journal.length > 2_000) {
      const since = this.#universe.now - JOURNAL_MS
      this.#journal = this.#journal.filter(({ at }) => at >= since)
    }
  }

  #load(text: string): Compiled {
    const script = compiled.get(text) ?? compileLua(text)
    compiled.set(text, script)
    this.#scripts.set(this.#digestOf(text), script)
    return script
  }

  #put(key: string, stored: Stored | undefined): void {
    if (this.#keepsJournal) {
      const before = this.#data.get(key)
      this.#note(() => {
        if (before === undefined) this.#data.delete(key)
        else this.#data.set(key, before)
      })
    }
    if (stored === undefined) this.#data.delete(key)
    else this.#data.set(key, stored)
  }

  #live(key: string): Stored | undefined {
    const stored = this.#data.get(key)
    return stored?.kind === 'string' && stored.expiresAt <= this.#universe.now ? undefined : stored
  }

  #text(key: string): string | undefined {
    const stored = this.#live(key)
    if (stored !== undefined && stored.kind !== 'string') throw new Error('WRONGTYPE')
    return stored?.value
  }

  #fields(key: string): ReadonlyMap<string, string> {
    const stored = this.#live(key)
    if (stored !== undefined && stored.kind !== 'hash') throw new Error('WRONGTYPE')
    return stored?.fields ?? new Map()
  }

  /** Names and scores, from the lowest. */
  #ranks(key: string): readonly (readonly [name: string, score: number])[] {
    const stored = this.#live(key)
    if (stored !== undefined && stored.kind !== 'ranks') throw new Error('WRONGTYPE')
    return [...(stored?.scores ?? [])].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))
  }

  #call(name: string, args: readonly string[]): Value {
    const [key = ''] = args
    switch (name) {
      case 'GET':
        return this.#text(key) ?? false
      case 'GETRANGE':
        return (this.#text(key) ?? '').slice(Number(args[1]), Number(args[2]) + 1)
      case 'EXISTS':
        return this.#live(key) === undefined ? 0 : 1
      case 'PTTL': {
        const stored = this.#live(key)
        if (stored?.kind !== 'string') return stored === undefined ? -2 : -1
        if (stored.expiresAt === Number.POSITIVE_INFINITY) return -1
        return Math.ceil(stored.expiresAt - this.#universe.now)
      }
      case 'SET': {
        const before = this.#live(key)
        let expiresAt = Number.POSITIVE_INFINITY
        if (args[2] === 'PX') expiresAt = this.#universe.now + Number(args[3])
        else if (args[2] === 'KEEPTTL' && before?.kind === 'string') expiresAt = before.expiresAt
        else if (args.length > 2) throw new Error(`ERR SET ${args[2]} is not modelled`)
        this.#put(key, { kind: 'string', value: args[1] as string, expiresAt })
        this.#observer.onStored(key, args[1] as string)
        return true
      }
      case 'DEL':
      case 'UNLINK': {
        let removed = 0
        for (const one of args) {
          if (this.#live(one) !== undefined) removed++
          if (this.#data.has(one)) this.#put(one, undefined)
        }
        return removed
      }
      case 'PEXPIRE':
      case 'PERSIST': {
        const stored = this.#live(key)
        if (stored?.kind !== 'string') return 0
        const expiresAt = name === 'PERSIST' ? Number.POSITIVE_INFINITY : this.#universe.now + Number(args[1])
        this.#put(key, { ...stored, expiresAt })
        return 1
      }
      case 'HGET':
        return this.#fields(key).get(args[1] as string) ?? false
      case 'HSET': {
        const fields = new Map(this.#fields(key)).set(args[1] as string, args[2] as string)
        this.#put(key, { kind: 'hash', fields })
        return 1
      }
      case 'HDEL': {
        const fields = new Map(this.#fields(key))
        const removed = fields.delete(args[1] as string) ? 1 : 0
        this.#put(key, fields.size === 0 ? undefined : { kind: 'hash', fields })
        return removed
      }
      case 'ZADD': {
        const scores = new Map(this.#ranks(key)).set(args[2] as string, Number(args[1]))
        this.#put(key, { kind: 'ranks', scores })
        return 1
      }
      case 'ZCARD':
        return this.#ranks(key).length
      case 'ZRANGE':
        return Table.of(
          this.#ranks(key)
            .slice(Number(args[1]), Number(args[2]) + 1)
            .flatMap(([name, score]) => [name, String(score)]),
        )
      case 'ZREMRANGEBYRANK': {
        const scores = new Map(this.#ranks(key).slice(Number(args[2]) + 1))
        this.#put(key, scores.size === 0 ? undefined : { kind: 'ranks', scores })
        return 1
      }
      case 'XADD': {
        const [, , , most = '0', id = '', , bytes = ''] = args
        const before = this.#live(key)
        const entries = before?.kind === 'stream' ? before.entries : []
        const sequence = Number(id.split('-')[0])
        if (sequence <= (entries.at(-1)?.[0] ?? 0)) throw new Error('ERR The ID is equal or smaller')
        this.#put(key, {
          kind: 'stream',
          entries: [...entries.slice(Math.max(0, entries.length + 1 - Number(most))), [sequence, bytes]],
        })
        this.#observer.onLogged(bytes)
        return id
      }
      case 'XRANGE': {
        const stored = this.#live(key)
        const entries = stored?.kind === 'stream' ? stored.entries : []
        const [from = 0, isAfter = 0] = args[1] === '-' ? [] : (args[1] as string).split('-').map(Number)
        const to = args[2] === '+' ? Number.POSITIVE_INFINITY : Number((args[2] as string).split('-')[0])
        const most = args[3] === 'COUNT' ? Number(args[4]) : entries.length
        const found: Table[] = []
        for (const [sequence, bytes] of entries) {
          if (sequence < from + (isAfter > 0 ? 1 : 0)) continue
          if (sequence > to || found.length === most) break
          found.push(new Table([`${sequence}-0`, new Table(['m', bytes])]))
        }
        return new Table(found)
      }
      case 'PUBLISH':
        this.#publish(key, args[1] as string)
        return 0
      case 'TIME': {
        const microseconds = Math.floor((1_700_000_000_000 + this.#universe.now + this.clockOffsetMs) * 1_000)
        return Table.of([String(Math.floor(microseconds / 1e6)), String(microseconds % 1e6)])
      }
      case 'SCAN': {
        const pattern = args[2] as string
        const [head = '', tail = ''] = pattern.replaceAll('\\', '').split('*')
        const names = [...this.#data.keys()].filter((one) => one.startsWith(head) && one.includes(tail))
        return Table.of(['0', Table.of(names)])
      }
      default:
        throw new Error(`ERR ${name} is not modelled`)
    }
  }
}

/** What the client gets of what a script answers. */
function replyOf(value: Value): unknown {
  if (typeof value === 'string') return Buffer.from(value, 'latin1')
  if (typeof value === 'number') return Math.trunc(value)
  if (value instanceof Table) return value.array.map(replyOf)
  return value === true ? 1 : null
}
