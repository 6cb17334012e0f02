import { expect, test } from 'vitest'
import { Ring } from '../../../src/backends/memcached-ring.ts'

const servers = Array.from({ length: 5 }, (_, at) => ({ host: `cache-${at}`, port: 11_211 }))
const keys = Array.from({ length: 20_000 }, (_, at) => `user:${at}`)
const countsOf = (owners: readonly number[]) =>
  servers.map((_, server) => owners.filter((owner) => owner === server).length)

test('each of five servers gets a fair share', () => {
  const ring = new Ring(servers)
  // Ketama's own spread at 160 points: a share is off by a tenth or two.
  for (const count of countsOf(keys.map((key) => ring.ownerOf(key)))) {
    expect(count).toBeGreaterThan(2_800)
    expect(count).toBeLessThan(5_200)
  }
})

test('without one of the servers only its keys move', () => {
  const [all, fewer] = [new Ring(servers), new Ring(servers.slice(0, 4))]
  let moved = 0
  for (const key of keys) {
    const [before, after] = [all.ownerOf(key), fewer.ownerOf(key)]
    if (before === 4) moved++
    else expect(after).toBe(before)
  }
  expect(moved).toBeGreaterThan(2_800)
})

test('another port is another server, and one server has everything', () => {
  const [one, other] = [
    new Ring([...servers.slice(0, 2)]),
    new Ring([{ host: 'cache-0', port: 1 }, ...servers.slice(1, 2)]),
  ]
  expect(keys.some((key) => one.ownerOf(key) !== other.ownerOf(key))).toBe(true)
  expect(new Ring(servers.slice(0, 1)).ownerOf('any')).toBe(0)
})
