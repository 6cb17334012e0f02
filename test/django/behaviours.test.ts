// Every behaviour on every backend. The last lines of each backend say how many hold there, and which differ.

import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { onEveryBackend } from '../support/django-worlds.ts'
import { behaviours } from './behaviour.ts'
import './behaviours.ts'
import './backend-behaviours.ts'
import { differences } from './differences.ts'

vi.setConfig({ maxConcurrency: 12, testTimeout: 60_000 })

onEveryBackend((backend) => {
  describe(backend.name, () => {
    const held: number[] = []
    const differ: number[] = []
    const here = behaviours.filter(({ on }) => on(backend))
    for (const behaviour of here) {
      const isDifferent = differences.get(behaviour.number)?.on(backend) === true
      const title = `${behaviour.number} ${behaviour.title}${isDifferent ? ' (differs on purpose)' : ''}`
      test.concurrent(title, async () => {
        await behaviour.run(backend)
        const list = isDifferent ? differ : held
        list.push(behaviour.number)
      })
    }
    afterAll(() => {
      const list = differ.length === 0 ? '' : `: ${differ.sort((left, right) => left - right).join(', ')}`
      console.log(
        `${backend.name}: ${held.length} of ${here.length} behaviours hold, ${differ.length} differ on purpose${list}`,
      )
    })
  })
})

test('each number from 1 to 133 is tried', () => {
  const tried = new Set(behaviours.map(({ number }) => number))
  const numbers = Array.from({ length: 133 }, (_, at) => at + 1)
  expect(numbers.filter((number) => !tried.has(number))).toEqual([])
  expect([...differences.keys()].filter((number) => !tried.has(number))).toEqual([])
})

test('the guide has every difference by its number', () => {
  const guide = readFileSync(new URL('../../docs/guide/coming-from-django.md', import.meta.url), 'utf8')
  const [, table = ''] = guide.split('## Differences, all on purpose')
  const told = new Set([...table.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, list = '']) => list.split(', ')))
  expect([...differences.keys()].filter((number) => !told.has(String(number)))).toEqual([])
})
